import type { StoredEvent } from "../event.ts";
import { paginate } from "../paginate.ts";
import type { TimelineRules } from "../profile.ts";
import { withBundles } from "../relations.ts";
import type { Room } from "../room.ts";
import type { Shown } from "../shown.ts";
import { atStream, type RoomKey, type StreamToken } from "../tokens.ts";
import { type Reader, shownTo } from "../visibility.ts";
import type { World } from "../world.ts";
import type { RoomEntry, SyncRequest, Timeline } from "./model.ts";

/** Pages that are read at most to make up for events that this user may not see or does not want. */
const MAX_PAGES = 5;

/** Pages are read with room for what filters and visibility take away. */
const PAGE_FACTOR = 2;
const SMALLEST_PAGE = 10;

export function loadTimeline(world: World, entry: RoomEntry, request: SyncRequest, now: StreamToken): Timeline {
  if (!world.profile.timelines.areFilled) return onePage(world, entry, request);
  const { room, isNewlyJoined } = entry;
  const limit = request.filter.timelineLimit;
  const { tellOfGaps } = world.profile.timelines;
  const gap = tellOfGaps ? gapIn(room, entry.since?.room.stream, now.room.stream) : undefined;
  const given = gap === undefined ? entry.events : undefined;
  const upto = gap === undefined ? entry.upto : now;
  const isCut = given === undefined || isNewlyJoined || limit < given.length;
  const shown = given === undefined ? [] : visible(room, given, request);
  if (!isCut || request.filter.blocks("timeline")) return unlimited(shown, upto);

  const filled = readBack(entry, request, shown, { upto, gap, limit });
  const prevBatch = { ...upto, room: filled.start };
  const isLimited = filled.isLimited || isNewlyJoined;
  // Edits, threads and references come along only where the client lacks the events to see them itself.
  const events = isLimited ? withBundles(world, filled.events, request.device.user) : filled.events;
  return { events, prevBatch, isLimited: isLimited || gap !== undefined };
}

/**
 * One page of what happened since the token, or of the end of the room, and then filtered. That something was filtered out
 * makes it shorter, and is not told.
 */
function onePage(world: World, entry: RoomEntry, request: SyncRequest): Timeline {
  const { timelines: rules } = world.profile;
  const { room, end, isNewlyJoined, isOutOfBand } = entry;
  if (isOutOfBand)
    return { events: visible(room, entry.events ?? [], request), prevBatch: undefined, isLimited: false };
  const reachesBack = entry.kind === "join" && isNewlyJoined && rules.reachBackOnJoin;
  const after = reachesBack ? 0 : (request.since?.room.stream ?? 0);
  const limit = request.filter.timelineLimit;
  const wanted = room.between(after, end).filter((event) => request.filter.passesTimeline(event));
  const page = limit === 0 ? [] : wanted.slice(-limit);
  const shown = rules.hideHistory ? visible(room, page, request) : unhidden(room, page, request);
  const events = rules.order === "as arrived" ? shown : shown.toSorted((a, b) => a.event.depth - b.event.depth);
  const isWhole = events.length === page.length || !rules.forgetLimitWhenHiding;
  const isLimited = (wanted.length > page.length && isWhole) || (entry.kind === "join" && isNewlyJoined);
  const bundled = rules.bundles === "always" ? withBundles(world, events, request.device.user) : events;
  const told = rules.tellMembership ? bundled : bundled.map((each) => ({ ...each, membership: undefined }));
  return { events: told, prevBatch: beforeFirst(entry, events[0]?.event, rules.order), isLimited };
}

/** Undefined: without an event there is no place to go back from. */
function beforeFirst(
  { upto }: RoomEntry,
  first: StoredEvent | undefined,
  order: TimelineRules["order"],
): StreamToken | undefined {
  if (first === undefined) return undefined;
  return { ...upto, room: { depth: order === "by depth" ? first.depth : undefined, stream: first.stream - 1 } };
}

/** Events that are nobody's are left out, as are those of ignored users; what a user may see of the past is not asked. */
function unhidden(room: Room, events: readonly StoredEvent[], request: SyncRequest): Shown[] {
  return shownTo(room, events, { user: request.device.user, always: () => true });
}

function unlimited(events: readonly Shown[], upto: StreamToken): Timeline {
  const first = events[0];
  const prevBatch = first === undefined ? upto : atStream(upto, first.event.stream - 1);
  return { events, prevBatch, isLimited: false };
}

interface Span {
  readonly upto: StreamToken;
  readonly gap: number | undefined;
  readonly limit: number;
}

/**
 * Reads back until there are enough events. A first sync reads by depth, an incremental one as events arrived.
 * The start stays at `upto` unless events had to be cut off: a room that is sent whole from the database has a
 * `prev_batch` at its end, and scrollback from there repeats it.
 */
function readBack(entry: RoomEntry, request: SyncRequest, shown: readonly Shown[], { upto, gap, limit }: Span) {
  const stopAt = stopOf(entry, gap);
  const pageSize = Math.max(limit * PAGE_FACTOR, SMALLEST_PAGE);
  let events = shown;
  let from: RoomKey = upto.room;
  let isLimited = true;
  for (let page = 0; isLimited && events.length < limit && page < MAX_PAGES; page++) {
    const order = stopAt === undefined ? "topological" : "stream";
    const read = paginate(entry.room, { order, direction: "b", from, to: stopAt, limit: pageSize });
    from = read.next;
    isLimited = read.isLimited;
    events = [...visible(entry.room, read.events.reverse(), request), ...events];
  }
  if (events.length <= limit) return { events, isLimited, start: upto.room };
  // With a limit of 0 this keeps all of them, and so does Synapse.
  const kept = events.slice(-limit);
  const first = kept[0];
  const start = first === undefined ? upto.room : { depth: undefined, stream: first.event.stream - 1 };
  return { events: kept, isLimited: true, start };
}

function stopOf(entry: RoomEntry, gap: number | undefined): RoomKey | undefined {
  if (entry.since === undefined) return undefined;
  if (gap !== undefined) return { depth: undefined, stream: gap };
  return entry.isNewlyJoined ? undefined : entry.since.room;
}

function visible(room: Room, events: readonly StoredEvent[], request: SyncRequest): Shown[] {
  const wanted = events.filter((event) => request.filter.passesTimeline(event));
  const reader: Reader = { user: request.device.user, always: (event) => isCurrent(room, event) };
  return shownTo(room, wanted, reader);
}

function isCurrent(room: Room, event: StoredEvent): boolean {
  return event.stateKey !== undefined && room.state(event.type, event.stateKey) === event;
}

/** The last gap, where this server missed events of the room, that comes before an event of the range. */
function gapIn(room: Room, after: number | undefined, upto: number): number | undefined {
  return room.gaps.findLast((gap) => {
    const next = room.timeline[room.indexAfter(gap)]?.stream ?? Number.POSITIVE_INFINITY;
    return next > (after ?? 0) && next <= upto;
  });
}
