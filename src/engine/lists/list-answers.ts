import type { RoomNid } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { ConnectionState } from "../connection/state.ts";
import { owesDeparture } from "../connection/told.ts";
import type { ListRequest, Range, SyncRequest } from "../request.ts";
import type { ListAnswer } from "../response.ts";
import { isIgnoredInvite } from "../rooms/stripped-facts.ts";
import type { ReaderView } from "../view.ts";
import { Candidates } from "./candidates.ts";
import type { Coverage } from "./coverage.ts";
import { countsUnknownRooms, filtersNothing, RoomFilter } from "./filter.ts";
import { newest } from "./window.ts";

/** Scratch: what is in here means nothing between two calls. */
const listed = new Candidates();
const filtered = new Candidates();

/** Evaluates every list, and covers the rooms in its ranges with its config. */
export function answerLists(
  request: SyncRequest,
  view: ReaderView,
  connection: ConnectionState,
  from: StreamPosition,
  coverage: Coverage,
): ReadonlyMap<string, ListAnswer> {
  const answers = new Map<string, ListAnswer>();
  if (request.lists.size === 0) return answers;
  collectListed(view, connection, from);
  for (const [key, list] of request.lists) {
    const candidates = filtersNothing(list.filters) ? listed : collectFiltered(list, view);
    answers.set(key, answerList(list, candidates, view, request.needsWindows === true, coverage));
  }
  return answers;
}

/** The rooms that stand in lists before filters (MSC4186 "Room list"), with what orders them. */
function collectListed(view: ReaderView, connection: ConnectionState, from: StreamPosition): void {
  const { rooms, facts } = view;
  listed.reset(rooms.size);
  for (let index = 0; index < rooms.size; index++) {
    const room = rooms.room(index);
    if (rooms.membership(index) === Membership.join) {
      if (facts.isComplete(room)) listed.add(index, room, facts.activity(room));
    } else if (isListedOutside(view, index, connection, from) && !isIgnoredInvite(view, index)) {
      listed.add(index, room, rooms.activityOutside(index));
    }
  }
}

/**
 * Invites, knocks, kicks and bans are listed. One that was left by choice, or forgotten, is listed until this
 * connection knows of the departure. Where the connection was told nothing of the room it is listed with the first answer after
 * the departure: the client may have the room from an earlier connection, and show it until it is told.
 */
function isListedOutside(view: ReaderView, index: number, connection: ConnectionState, from: StreamPosition): boolean {
  const { rooms } = view;
  if (!rooms.isDoneWith(index)) return true;
  const told = connection.rooms.get(rooms.room(index));
  if (told === undefined) return from > BEFORE_ALL && rooms.since(index) > from && !rooms.isRecalled(index);
  return owesDeparture(told, rooms.since(index), from);
}

function collectFiltered(list: ListRequest, view: ReaderView): Candidates {
  const filter = new RoomFilter(list.filters, view);
  filtered.reset(listed.size);
  for (let slot = 0; slot < listed.size; slot++) {
    const index = listed.index[slot] ?? 0;
    if (!filter.passes(index)) continue;
    filtered.add(index, listed.room[slot] ?? 0, listed.activity[slot] ?? 0);
  }
  return filtered;
}

function answerList(
  list: ListRequest,
  candidates: Candidates,
  view: ReaderView,
  needsWindows: boolean,
  coverage: Coverage,
): ListAnswer {
  const ranges = list.ranges === "all" ? [{ first: 0, last: candidates.size - 1 }] : list.ranges;
  const end = ranges.reduce((most, range) => Math.max(most, isEmpty(range) ? 0 : range.last + 1), 0);
  const isOrdered = needsWindows || ranges.length > 1 || ranges.some((range) => range.first > 0);
  const slots = newest(candidates, end, isOrdered);
  for (const { first, last } of disjoint(ranges)) {
    coverage.coverAll(candidates.indexesAt(slots.subarray(first, last + 1)), list.config);
  }
  const count = candidates.size + (countsUnknownRooms(list.filters) ? stillToCome(candidates, view) : 0);
  return { count, windows: needsWindows ? windowsOf(ranges, slots, candidates, view) : [] };
}

/** Joined rooms that were announced and are not stored yet. */
function stillToCome(candidates: Candidates, { rooms, own }: ReaderView): number {
  if (own.announcedJoined === undefined) return 0;
  let joined = 0;
  for (let slot = 0; slot < candidates.size; slot++) {
    if (rooms.membership(candidates.index[slot] ?? 0) === Membership.join) joined += 1;
  }
  return Math.max(0, own.announcedJoined - joined);
}

function windowsOf(
  ranges: readonly Range[],
  slots: Int32Array,
  candidates: Candidates,
  view: ReaderView,
): ListAnswer["windows"] {
  const roomIdOf = (slot: number) => view.facts.roomId((candidates.room[slot] ?? 0) as RoomNid);
  return ranges.map((range) => ({
    range,
    roomIds: isEmpty(range) ? [] : Array.from(slots.subarray(range.first, range.last + 1), roomIdOf),
  }));
}

const isEmpty = (range: Range): boolean => range.last < range.first;

/** The same indices as in `ranges`, each in one range only. */
function disjoint(ranges: readonly Range[]): readonly Range[] {
  const result: Range[] = [];
  let next = 0;
  for (const range of ranges.filter((each) => !isEmpty(each)).sort((a, b) => a.first - b.first)) {
    const first = Math.max(range.first, next);
    if (range.last >= first) result.push({ first, last: range.last });
    next = Math.max(next, range.last + 1);
  }
  return result;
}
