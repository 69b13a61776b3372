import { Membership } from "../../model/membership.ts";
import { endOfNeighbours } from "../../model/neighbours.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { ConnectionState } from "../connection/state.ts";
import { owesDeparture } from "../connection/told.ts";
import type { ListFilters, Range, SyncRequest } from "../request.ts";
import type { ListAnswer } from "../response.ts";
import { isIgnoredInvite } from "../rooms/stripped-facts.ts";
import type { ReaderView } from "../view.ts";
import type { Coverage } from "./coverage.ts";
import { namesLists } from "./extension-scopes.ts";
import { countsUnknownRooms, filtersNothing, RoomFilter } from "./filter.ts";
import { NewestRooms } from "./newest-rooms.ts";

/** Scratch: what is in here means nothing between two calls. */
const newest = new NewestRooms();

/** Evaluates every list, and covers the rooms in its ranges with its config. Costs a scan over the reader's rooms for each. */
export function answerLists(
  request: SyncRequest,
  view: ReaderView,
  connection: ConnectionState,
  from: StreamPosition,
  coverage: Coverage,
): ReadonlyMap<string, ListAnswer> {
  const answers = new Map<string, ListAnswer>();
  const areNamed = namesLists(request.extensions);
  for (const [key, { ranges: wanted, filters, config }] of request.lists) {
    const needsWindows = request.needsWindows === true;
    newest.reset(wanted === "all" ? view.rooms.size : Math.min(endOf(wanted), view.rooms.size));
    const count = offerListed(filters, view, connection, from);
    const ranges = wanted === "all" ? [{ first: 0, last: newest.size - 1 }] : wanted;
    const separate = disjoint(ranges);
    const indexes = newest.indexes(needsWindows ? 0 : orderedFrom(separate));
    const name = areNamed ? key : undefined;
    for (const { first, last } of separate) coverage.coverAll(indexes.subarray(first, last + 1), config, name);
    answers.set(key, { count, windows: needsWindows ? windowsOf(ranges, indexes, view) : [] });
  }
  return answers;
}

/** Goes through the rooms that stand in a list (MSC4186 "Room list"). Returns how many there are, or will be. */
function offerListed(
  filters: ListFilters,
  view: ReaderView,
  connection: ConnectionState,
  from: StreamPosition,
): number {
  const filter = filtersNothing(filters) ? undefined : new RoomFilter(filters, view);
  const outside = offerOutside(filter, view, connection, from);
  const joined = offerJoined(filter, view);
  // Joined rooms that were announced and are not stored yet.
  const toCome = countsUnknownRooms(filters) ? Math.max(0, (view.own.announcedJoined ?? 0) - joined) : 0;
  return outside + joined + toCome;
}

/** Neighbours that are listed for certain, and less recent than all that the window holds, are passed in one step. */
function offerJoined(filter: RoomFilter | undefined, view: ReaderView): number {
  const { rooms, memberships, outside } = view.rooms.columns;
  const { activity, complete, neighbourBits, activityNear, incompleteNear } = view.facts.columns;
  let unlisted = 0;
  let least = newest.least;
  for (let start = 0, end = 0; start < rooms.length; start = end) {
    end = endOfNeighbours(rooms, start, neighbourBits);
    const group = (rooms[start] ?? 0) >> neighbourBits;
    if (filter === undefined && incompleteNear[group] === 0 && (activityNear[group] ?? 0) < least) continue;
    for (let index = start; index < end; index++) {
      if (memberships[index] !== Membership.join) continue;
      const room = rooms[index] ?? 0;
      if (complete[room] !== 1 || filter?.passes(index) === false) {
        unlisted += 1;
        continue;
      }
      const activeAt = activity[room] ?? 0;
      if (activeAt < least) continue;
      newest.offer(index, room, activeAt);
      least = newest.least;
    }
  }
  return rooms.length - outside.length - unlisted;
}

function offerOutside(
  filter: RoomFilter | undefined,
  view: ReaderView,
  connection: ConnectionState,
  from: StreamPosition,
): number {
  let listed = 0;
  for (const index of view.rooms.columns.outside) {
    if (!isListedOutside(view, index, connection, from) || filter?.passes(index) === false) continue;
    listed += 1;
    newest.offer(index, view.rooms.room(index), view.rooms.activityOutside(index));
  }
  return listed;
}

/**
 * Knocks, kicks, bans and invites are listed, but for invites of users who are ignored. One that was left by choice, or forgotten,
 * is listed until this connection knows of the departure. Where the connection was told nothing of the room it is listed with the
 * first answer after the departure: the client may have the room from an earlier connection, and show it until it is told. One of
 * which only a subscription asked stands in none: what lists hold must not hang on what somebody has asked for.
 */
function isListedOutside(view: ReaderView, index: number, connection: ConnectionState, from: StreamPosition): boolean {
  const { rooms } = view;
  if (isIgnoredInvite(view, index)) return false;
  const isRecalled = rooms.isRecalled(index);
  if (!rooms.isDoneWith(index) && !isRecalled) return true;
  const told = connection.rooms.get(rooms.room(index));
  if (told === undefined) return from > BEFORE_ALL && rooms.since(index) > from && !isRecalled;
  return owesDeparture(told, rooms.since(index), from);
}

function windowsOf(ranges: readonly Range[], indexes: Int32Array, { rooms, facts }: ReaderView): ListAnswer["windows"] {
  const roomIdOf = (index: number) => facts.roomId(rooms.room(index));
  return ranges.map((range) => ({
    range,
    roomIds: isEmpty(range) ? [] : Array.from(indexes.subarray(range.first, range.last + 1), roomIdOf),
  }));
}

const endOf = (ranges: readonly Range[]): number =>
  ranges.reduce((most, range) => Math.max(most, isEmpty(range) ? 0 : range.last + 1), 0);

const isEmpty = (range: Range): boolean => range.last < range.first;

/** Where the order of rooms begins to matter: those before all stand in the first range, or all in none. */
const orderedFrom = ([head]: readonly Range[]): number => {
  if (head === undefined) return Number.POSITIVE_INFINITY;
  return head.first === 0 ? head.last + 1 : head.first;
};

/** The same indices as in `ranges`, each in one range only, in order. */
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
