import type { ListRequest, RoomConfig, SyncRequest } from "../../engine/request.ts";
import { isStorableText } from "../../lib/json-value.ts";
import { ClientError } from "../../model/client-error.ts";
import { isRoomId, type RoomId, type UserId } from "../../model/ids.ts";
import { WireValue } from "../shared/wire-value.ts";
import { parseExtensions } from "./parse-extensions.ts";
import { parseList } from "./parse-list.ts";
import { type KnownConfigs, RoomConfigParser } from "./parse-room-config.ts";

/** Lists in one request, at most (MSC4186, request body). */
const MAX_LISTS = 100;
/** Characters of a list's key (MSC3575), as Synapse counts them: one outside the basic plane is one. */
const MAX_LIST_KEY = 64;
/** Characters of `conn_id`: matrix-rust-sdk keeps to 16; longer ones only cost us an index entry. */
const MAX_CONN_ID = 255;

export interface ParseOptions {
  readonly maxTimelineLimit: number;
  readonly withOps: boolean;
}

/**
 * Reads a request of the simplified dialect (MSC4186 as homeservers speak it under its unstable name). As little as
 * possible is refused: matrix-js-sdk takes every 400 for an expired session and starts over at once.
 */
export function parseRequest(
  query: URLSearchParams,
  body: unknown,
  reader: UserId,
  { maxTimelineLimit, withOps }: ParseOptions,
  known: KnownConfigs,
): SyncRequest {
  const wire = new WireValue(body);
  const configs = new RoomConfigParser(reader, maxTimelineLimit, known);
  const connId = wire.at("conn_id").optional(parseConnId) ?? "";
  return {
    connId,
    pos: query.get("pos") ?? wire.at("pos").optional((value) => value.text()),
    timeoutMs: parseTimeout(query.get("timeout")) ?? wire.at("timeout").optional((value) => value.count()) ?? 0,
    lists: wire.at("lists").optional((value) => parseLists(value, configs)) ?? new Map(),
    subscriptions: wire.at("room_subscriptions").optional((value) => parseSubscriptions(value, configs)) ?? new Map(),
    subscriptionMode: connId === "" ? "keep" : "replace",
    unsubscribed: parseUnsubscribed(wire.at("unsubscribe_rooms")),
    needsWindows: withOps,
    extensions: wire.at("extensions").optional(parseExtensions) ?? {},
  };
}

function parseConnId(wire: WireValue): string {
  const connId = wire.text();
  if (connId.length > MAX_CONN_ID) throw wire.invalid(`must not be longer than ${MAX_CONN_ID} characters`);
  if (!isStorableText(connId)) throw wire.invalid("must be text without NUL");
  return connId;
}

function parseTimeout(text: string | null): number | undefined {
  if (text === null) return undefined;
  if (!/^\d+$/.test(text)) throw new ClientError("M_INVALID_PARAM", "timeout must be a number of milliseconds");
  return Math.min(Number(text), Number.MAX_SAFE_INTEGER);
}

function parseLists(wire: WireValue, configs: RoomConfigParser): ReadonlyMap<string, ListRequest> {
  const lists = wire.entries();
  if (lists.length > MAX_LISTS) throw wire.invalid(`must not hold more than ${MAX_LISTS} lists`);
  return new Map(
    lists.map(([key, list]) => {
      if ([...key].length > MAX_LIST_KEY) throw list.invalid(`has a key of more than ${MAX_LIST_KEY} characters`);
      return [key, parseList(list, configs)] as const;
    }),
  );
}

/** What cannot be a room is passed over like a room that the reader may not see. */
function parseSubscriptions(wire: WireValue, configs: RoomConfigParser): ReadonlyMap<RoomId, RoomConfig> {
  const subscriptions = new Map<RoomId, RoomConfig>();
  for (const [roomId, subscription] of wire.entries()) {
    const config = configs.parse(subscription);
    if (isRoomId(roomId)) subscriptions.set(roomId, config);
  }
  return subscriptions;
}

/** Not part of the dialect: matrix-js-sdk sends it, homeservers ignore it, so nothing in it is refused. */
function parseUnsubscribed(wire: WireValue): readonly RoomId[] {
  if (!wire.isArray) return [];
  return wire.items().flatMap((item) => item.only(isRoomId));
}
