import type { JsonObject } from "../json.ts";
import { rulesOf } from "../push/rules.ts";
import type { SyncRequest } from "./model.ts";

export function globalAccountData(request: SyncRequest): JsonObject[] {
  const { user } = request.device;
  const { since } = request;
  const isDelta = since !== undefined && !request.fullState;
  const events: JsonObject[] = [];
  for (const [type, { content, position }] of user.accountData) {
    if (!isDelta || position > since.accountData) events.push({ type, content });
  }
  if (!isDelta || user.pushRulesPosition > since.pushRules) {
    events.push({ type: "m.push_rules", content: { global: rulesOf(user) } });
  }
  return events.filter((event) => request.filter.accountData.passes(event));
}

export interface RoomDataNews {
  /** Room account data to tell, by room and type. */
  readonly accountData: ReadonlyMap<string, ReadonlyMap<string, JsonObject>>;
  /** All tags of the rooms whose tags changed. */
  readonly tags: ReadonlyMap<string, JsonObject>;
}

export function roomDataNews(request: SyncRequest): RoomDataNews {
  const { user } = request.device;
  const { since } = request;
  const after = since === undefined ? 0 : since.accountData;
  const first = user.roomDataLog.findLastIndex(({ position }) => position <= after) + 1;
  const rooms = new Set(user.roomDataLog.slice(first).map(({ roomId }) => roomId));
  const accountData = new Map<string, Map<string, JsonObject>>();
  const tags = new Map<string, JsonObject>();
  const isBlocked = request.filter.rooms.blocks("rooms") || request.filter.blocks("roomAccountData");
  const everything = request.fullState || since === undefined;
  for (const roomId of everything ? user.roomAccountData.keys() : rooms) {
    const news = [...(user.roomAccountData.get(roomId) ?? [])].filter(
      ([, { position }]) => everything || position > after,
    );
    if (news.length > 0 && !isBlocked)
      accountData.set(roomId, new Map(news.map(([type, { content }]) => [type, content])));
  }
  for (const roomId of rooms) {
    const entry = user.tags.get(roomId);
    if (entry !== undefined && entry.position > after) tags.set(roomId, entry.tags);
  }
  return { accountData, tags };
}
