import type { RoomNid, UserId, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import type { Queryable } from "./database.ts";
import {
  eachBytes,
  eachPair,
  highOf,
  intsOf,
  lowOf,
  packedBytes,
  packedInts,
  packedPairs,
  packedTwo,
  packedValues,
  selectPositions,
  valuesOf,
} from "./packed.ts";
import { IS_RECALLED } from "./recalled-departures.ts";

/** Rooms of one reader as read: numbers in columns, what few rooms have in maps by room. */
export interface ReaderRows {
  /** Ascending; the columns are parallel to it. */
  readonly rooms: Int32Array;
  readonly memberships: Uint8Array;
  /** Of rooms that the reader is out of: bits of {@link Ending}. */
  readonly endings: Uint8Array;
  readonly changed: Float64Array;
  readonly since: Float64Array;
  /** When the membership began, where it stands in lists by that and not by `since`. */
  readonly sinceUs: ReadonlyMap<number, number>;
  /** {@link NO_ORDER_KEY}: before all that is stored. */
  readonly sinceOrderKeys: Float64Array;
  readonly counts: ReadonlyMap<number, UnreadCounts>;
  readonly stripped: ReadonlyMap<number, Buffer>;
}

export interface UnreadCounts {
  readonly notifications: number;
  readonly highlights: number;
}

export const NO_ORDER_KEY = Number.NEGATIVE_INFINITY;

/** What is to be known of how the reader is out of a room. */
export const Ending = {
  /** They left by choice. */
  byChoice: 1,
  forgotten: 2,
  /** It was long ago, and is known because it was asked for. */
  recalled: 4,
} as const;

/** A membership and the bits of an ending are one number. */
const ENDING = 8;

interface PackedReader {
  readonly user_nid: number;
  readonly rooms: Buffer;
  readonly batches: Buffer;
  readonly since_batches: Buffer | null;
  readonly counts_batches: Buffer | null;
  readonly since_us: Buffer | null;
  readonly since_order_keys: Buffer | null;
  readonly memberships: Buffer | null;
  readonly counts: Buffer | null;
  readonly stripped: Buffer | null;
}

const withEnding = (userId: string): string => `
  m.membership
  | CASE WHEN m.membership = ${Membership.leave} AND m.sender = ${userId} THEN ${ENDING * Ending.byChoice} ELSE 0 END
  | CASE WHEN m.forgotten THEN ${ENDING * Ending.forgotten} ELSE 0 END
  | CASE WHEN ${IS_RECALLED} THEN ${ENDING * Ending.recalled} ELSE 0 END`;

/**
 * One row per reader; what is as it is in most rooms is left out. `userId` is the SQL for the reader's, `inTime` makes of the
 * SQL for a batch what is returned of it.
 */
const packedReader = (userId: string, inTime = (batch: string) => batch): string => `
  m.user_nid, ${packedInts("m.room")} AS rooms, ${packedValues(inTime("m.batch"))} AS batches,
  ${packedPairs("m.room", inTime("m.since_batch"))} FILTER (WHERE m.since_batch <> m.batch) AS since_batches,
  ${packedPairs("m.room", inTime("m.counts_batch"))} FILTER (WHERE m.counts_batch <> m.batch) AS counts_batches,
  ${packedPairs("m.room", "m.since_us")} FILTER (WHERE m.since_us IS NOT NULL) AS since_us,
  ${packedPairs("m.room", "m.since_order_key")} FILTER (WHERE m.since_order_key IS NOT NULL) AS since_order_keys,
  ${packedPairs("m.room", withEnding(userId))}
    FILTER (WHERE m.membership <> ${Membership.join}) AS memberships,
  ${packedPairs("m.room", packedTwo("m.notification_count", "m.highlight_count"))}
    FILTER (WHERE m.notification_count <> 0 OR m.highlight_count <> 0) AS counts,
  ${packedBytes("m.room", "m.stripped")} FILTER (WHERE m.stripped IS NOT NULL) AS stripped`;

const SELECT_ALL = `
  SELECT ${packedReader("$2::text")} FROM memberships AS m WHERE m.user_nid = $1 GROUP BY m.user_nid`;

/** All rooms of a reader. */
export async function selectReaderRooms(db: Queryable, userNid: UserNid, userId: UserId): Promise<ReaderRows> {
  const [row] = await db.query<PackedReader>({ name: "reader-rooms", text: SELECT_ALL, values: [userNid, userId] });
  if (row === undefined) return NO_ROWS;
  const positions = await selectPositions(db, batchesOf(row));
  return unpack(row, (batch) => positions.get(batch) ?? 0);
}

/** Rooms of one reader to be read again. */
export interface ReaderRoomsWanted {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly rooms: ReadonlySet<RoomNid>;
}

// Few rooms, and somebody waits for the news: positions come with them. Of many rooms it is cheaper to read them apart.
const positionOfBatch = (batch: string): string =>
  `coalesce((SELECT c.position FROM changes AS c WHERE c.batch = ${batch}), 0)`;

const SELECT_SOME = `
  SELECT ${packedReader("w.user_id", positionOfBatch)}
    FROM unnest($1::int[], $2::text[], $3::int[]) AS w (user_nid, user_id, room)
    JOIN memberships AS m ON m.user_nid = w.user_nid AND m.room = w.room
   GROUP BY m.user_nid`;

/** Some rooms of several readers. */
export async function selectSomeReaderRooms(
  db: Queryable,
  wanted: readonly ReaderRoomsWanted[],
): Promise<ReadonlyMap<UserNid, ReaderRows>> {
  const keys = wanted.flatMap(({ userNid, userId, rooms }) => [...rooms].map((room) => ({ userNid, userId, room })));
  if (keys.length === 0) return new Map();
  const values = [keys.map(({ userNid }) => userNid), keys.map(({ userId }) => userId), keys.map(({ room }) => room)];
  const rows = await db.query<PackedReader>({ name: "some-reader-rooms", text: SELECT_SOME, values });
  return new Map(rows.map((row) => [row.user_nid as UserNid, unpack(row, (position) => position)]));
}

function batchesOf({ batches, since_batches, counts_batches }: PackedReader): ReadonlySet<number> {
  const all = new Set<number>();
  let last = 0;
  for (const batch of valuesOf(batches)) {
    if (batch !== last) all.add(batch);
    last = batch;
  }
  for (const pairs of [since_batches, counts_batches]) eachPair(pairs, (_room, batch) => all.add(batch));
  return all;
}

function unpack(row: PackedReader, positionOf: (batch: number) => number): ReaderRows {
  const { rooms, batches } = inOrder(row);
  const at = (room: number) => indexIn(rooms, room);
  const changed = positionsOf(batches, positionOf);
  const since = changed.slice();
  eachPair(row.since_batches, (room, batch) => {
    since[at(room)] = positionOf(batch);
  });
  eachPair(row.counts_batches, (room, batch) => {
    const index = at(room);
    changed[index] = Math.max(changed[index] ?? 0, positionOf(batch));
  });
  const sinceOrderKeys = new Float64Array(rooms.length).fill(NO_ORDER_KEY);
  eachPair(row.since_order_keys, (room, orderKey) => {
    sinceOrderKeys[at(room)] = orderKey;
  });
  const memberships = new Uint8Array(rooms.length).fill(Membership.join);
  const endings = new Uint8Array(rooms.length);
  eachPair(row.memberships, (room, value) => {
    memberships[at(room)] = value % ENDING;
    endings[at(room)] = Math.floor(value / ENDING);
  });
  return { rooms, memberships, endings, changed, since, sinceOrderKeys, ...unpackRare(row) };
}

/** Rooms that came with one response stand together, and have one batch. */
function positionsOf(batches: Float64Array, positionOf: (batch: number) => number): Float64Array {
  const positions = new Float64Array(batches.length);
  let last = 0;
  let position = 0;
  for (let index = 0; index < batches.length; index++) {
    const batch = batches[index] ?? 0;
    if (batch !== last) position = positionOf(batch);
    last = batch;
    positions[index] = position;
  }
  return positions;
}

function unpackRare(row: PackedReader): Pick<ReaderRows, "sinceUs" | "counts" | "stripped"> {
  const sinceUs = new Map<number, number>();
  eachPair(row.since_us, (room, us) => {
    sinceUs.set(room, us);
  });
  const counts = new Map<number, UnreadCounts>();
  eachPair(row.counts, (room, value) => {
    counts.set(room, { notifications: highOf(value), highlights: lowOf(value) });
  });
  const stripped = new Map<number, Buffer>();
  eachBytes(row.stripped, (room, bytes) => {
    stripped.set(room, bytes);
  });
  return { sinceUs, counts, stripped };
}

/** More rooms than a user can have; with a room number (32 bits) below 2^53. */
const MAX_ROOMS = 2 ** 21;

/** Rows come in the order of the index, or in that of the table. */
function inOrder(row: PackedReader): { rooms: Int32Array; batches: Float64Array } {
  const rooms = intsOf(row.rooms);
  const batches = valuesOf(row.batches);
  if (isAscending(rooms)) return { rooms, batches };
  const sorted = { rooms: new Int32Array(rooms.length), batches: new Float64Array(rooms.length) };
  // Room and place in one number: numbers are sorted without calling back.
  const order = new Float64Array(rooms.length);
  for (let index = 0; index < rooms.length; index++) order[index] = (rooms[index] ?? 0) * MAX_ROOMS + index;
  order.sort();
  for (let index = 0; index < order.length; index++) {
    const key = order[index] ?? 0;
    sorted.rooms[index] = Math.floor(key / MAX_ROOMS);
    sorted.batches[index] = batches[key % MAX_ROOMS] ?? 0;
  }
  return sorted;
}

function isAscending(rooms: Int32Array): boolean {
  for (let index = 1; index < rooms.length; index++) if ((rooms[index - 1] ?? 0) >= (rooms[index] ?? 0)) return false;
  return true;
}

/** Index of a room in ascending numbers; -1: it is not there. */
export function indexIn(rooms: Int32Array, room: number): number {
  const index = firstAtLeast(rooms, room);
  return rooms[index] === room ? index : -1;
}

/** How many of ascending numbers are below one, found by halves. */
export function firstAtLeast(rooms: Int32Array, room: number): number {
  let low = 0;
  let high = rooms.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((rooms[middle] ?? 0) < room) low = middle + 1;
    else high = middle;
  }
  return low;
}

const NO_ROWS: ReaderRows = {
  rooms: new Int32Array(0),
  memberships: new Uint8Array(0),
  endings: new Uint8Array(0),
  changed: new Float64Array(0),
  since: new Float64Array(0),
  sinceUs: new Map(),
  sinceOrderKeys: new Float64Array(0),
  counts: new Map(),
  stripped: new Map(),
};
