import { type StoredEvent, stateKeyOf } from "../event.ts";
import type { JsonObject } from "../json.ts";
import type { Receipt, Room } from "../room.ts";
import { shownAs } from "../shown.ts";
import type { StreamToken } from "../tokens.ts";
import type { World } from "../world.ts";
import { globalAccountData, type RoomDataNews, roomDataNews } from "./account-data.ts";
import { candidateRooms } from "./candidates.ts";
import { computeDeviceLists } from "./device-lists.ts";
import { ephemeralByRoom } from "./ephemeral.ts";
import type { LazyMemberCaches } from "./lazy-members.ts";
import type { RoomAnswer, RoomEntry, SyncAnswer, SyncRequest } from "./model.ts";
import { type RoomChanges, roomsForInitial, roomsSince } from "./rooms.ts";
import { computeState } from "./state.ts";
import { computeSummary } from "./summary.ts";
import { loadTimeline } from "./timeline.ts";
import { deliver } from "./to-device.ts";

export interface SyncParts {
  readonly world: World;
  readonly lazyMembers: LazyMemberCaches;
}

/** One answer, computed in one go: everything in it is of one moment. */
export function computeSync(parts: SyncParts, request: SyncRequest): SyncAnswer {
  const { world } = parts;
  const { device, since, filter } = request;
  const now = world.now();
  const rooms = candidateRooms(world, request);
  const changes = roomChanges(world, request, rooms, now);
  const ephemeral = ephemeralByRoom(request, rooms, now);
  const news: RoomNews = { ...roomDataNews(request), ephemeral };
  const answers = changes.entries.flatMap((entry) => roomAnswer(parts, request, entry, news, now) ?? []);
  if (world.profile.joinsForRoomData && since !== undefined) answers.push(...dataOfOtherRooms(world, request, news));
  const join = answers.filter(({ kind }) => kind === "join").map(({ answer }) => answer);
  const leave = answers.filter(({ kind }) => kind === "leave").map(({ answer }) => answer);
  const delivery = deliver(device, since, now, world.profile.maxToDeviceMessages);
  const blocksAccountData = filter.accountData.blocks("types") || filter.accountData.blocks("senders");
  return {
    nextBatch: { ...now, toDevice: delivery.upto },
    join,
    leave,
    invite: changes.invited,
    knock: changes.knocked,
    accountData: blocksAccountData ? [] : globalAccountData(request),
    toDevice: delivery.messages,
    deviceLists: computeDeviceLists(world, request, join, changes),
    oneTimeKeyCounts: device.oneTimeKeyCounts(),
    unusedFallbackKeyTypes: device.unusedFallbackKeyTypes(),
  };
}

/** A filter that wants no rooms skips them on a first sync; later they are walked for the device lists' sake. */
function roomChanges(world: World, request: SyncRequest, rooms: readonly Room[], now: StreamToken): RoomChanges {
  if (request.since !== undefined) return roomsSince(world, { ...request, since: request.since }, rooms, now);
  if (!request.filter.rooms.blocks("rooms")) return roomsForInitial(world, request, now);
  return { entries: [], invited: [], knocked: [], newlyJoined: new Set(), newlyLeft: new Set() };
}

interface RoomNews extends RoomDataNews {
  readonly ephemeral: ReadonlyMap<string, readonly JsonObject[]>;
}

interface KindedAnswer {
  readonly kind: "join" | "leave";
  readonly answer: RoomAnswer;
}

function roomAnswer(
  parts: SyncParts,
  request: SyncRequest,
  entry: RoomEntry,
  news: RoomNews,
  now: StreamToken,
): KindedAnswer | undefined {
  const { room, kind } = entry;
  const { world } = parts;
  const { user } = request.device;
  const isAsked = request.fullState;
  const fullState = entry.fullState || entry.isNewlyJoined || isAsked;
  const ephemeral = kind === "join" ? (news.ephemeral.get(room.id) ?? []) : [];
  const hasData = news.accountData.has(room.id) || ephemeral.length > 0 || entry.inventedState !== undefined;
  if (!hasData && !fullState && entry.events?.length === 0 && !news.tags.has(room.id)) return undefined;

  const timeline = loadTimeline(world, entry, request, now);
  const accountData = roomAccountData(request, room.id, fullState, news);
  const hasAny = timeline.events.length > 0 || accountData.length > 0 || ephemeral.length > 0;
  if (!hasAny && !fullState && entry.inventedState === undefined) return undefined;

  const lazy = parts.lazyMembers.of(request.device);
  const computed = entry.isOutOfBand
    ? new Map()
    : computeState(world.profile, entry, timeline, { request, fullState, lazy });
  const stateMap = withInvented(computed, entry);
  const summary = computeSummary(world.profile.members, entry, timeline, { request, state: stateMap, lazy });
  const state = [...stateMap.values()].map((event) => shownAs(event));
  if (!hasAny && state.length === 0 && !isAsked) return undefined;
  const isCountTold =
    !world.profile.tellsCountsWithNewsOnly || timeline.events.length > 0 || hasOwnReceipt(entry, request);
  const unread = kind === "join" && isCountTold ? world.unread.count(user, room) : undefined;
  return {
    kind,
    answer: { room, timeline, state, accountData, ephemeral, summary, unread },
  };
}

function withInvented(state: Map<string, StoredEvent>, { inventedState: event }: RoomEntry): Map<string, StoredEvent> {
  if (event !== undefined) state.set(stateKeyOf(event.type, event.stateKey ?? ""), event);
  return state;
}

function hasOwnReceipt({ room }: RoomEntry, { device, since }: SyncRequest): boolean {
  const isOwn = ({ userId, position }: Receipt) => userId === device.user.userId && position > (since?.receipt ?? 0);
  return since === undefined || [...room.receipts.values()].some(isOwn);
}

/** Sections of joined rooms that hold nothing but account data, for rooms that the user is not in. */
function dataOfOtherRooms(world: World, request: SyncRequest, news: RoomNews): KindedAnswer[] {
  const { user } = request.device;
  const others = [...new Set([...news.accountData.keys(), ...news.tags.keys()])].filter((id) => !user.isJoined(id));
  return others.flatMap((roomId) => {
    const room = world.rooms.get(roomId);
    if (room === undefined) return [];
    const accountData = roomAccountData(request, roomId, false, news);
    const timeline = { events: [], prevBatch: undefined, isLimited: false };
    const empty = { state: [], ephemeral: [], summary: {}, unread: undefined };
    return [{ kind: "join", answer: { room, timeline, accountData, ...empty } }];
  });
}

function roomAccountData(request: SyncRequest, roomId: string, fullState: boolean, news: RoomNews): JsonObject[] {
  const own = request.device.user.tags.get(roomId)?.tags;
  const hasTags = own !== undefined && Object.keys(own).length > 0;
  const tags = fullState ? (hasTags ? own : undefined) : news.tags.get(roomId);
  const events: JsonObject[] = tags === undefined ? [] : [{ type: "m.tag", content: { tags } }];
  for (const [type, content] of news.accountData.get(roomId) ?? []) events.push({ type, content });
  // Synapse's entries do not say their room, so that a filter on rooms lets none of them pass.
  return events.filter((event) => request.filter.rooms.passes(event) && request.filter.roomAccountData.passes(event));
}
