import type { RoomNid } from "../model/ids.ts";
import type { Queryable } from "./database.ts";
import {
  eachPair,
  highOf,
  intsOf,
  lowOf,
  packedInts,
  packedPairs,
  packedTwo,
  packedValues,
  selectPositions,
  valuesOf,
} from "./packed.ts";

/** What the readers of rooms share, as read: parallel columns, in no order. */
export interface ColumnRows {
  readonly rooms: Int32Array;
  readonly roomIds: readonly string[];
  readonly isShown: Uint8Array;
  readonly isEncrypted: Uint8Array;
  /** Of rooms that became encrypted while they were known: where in the timeline. */
  readonly encryptionOrderKeys: ReadonlyMap<number, number>;
  readonly roomTypes: readonly (string | null)[];
  readonly names: readonly (string | null)[];
  readonly avatars: readonly (string | null)[];
  /** -1: not known. */
  readonly joinedCounts: Int32Array;
  readonly invitedCounts: Int32Array;
  readonly activity: Float64Array;
  readonly bump: Float64Array;
  /** Position at which all members were known; 0: they are not all known. */
  readonly members: Float64Array;
  /** Position of the newest fact; 0: there is none. */
  readonly changed: Float64Array;
}

/** Rooms read at a time. More: unpacking them holds up everything else for longer. Fewer: more queries at start. */
const CHUNK_ROOMS = 10_000;

const IS_SHOWN = 1;
const IS_ENCRYPTED = 2;

interface PackedRow {
  readonly rooms: Buffer;
  readonly last_batches: Buffer;
  readonly activity: Buffer;
  readonly bump: Buffer;
  readonly members: Buffer;
  readonly flags: Buffer;
  readonly counts: Buffer;
  readonly encryption_order_keys: Buffer | null;
  readonly room_ids: readonly string[];
  readonly types: readonly (string | null)[];
  readonly names: readonly (string | null)[];
  readonly avatars: readonly (string | null)[];
}

// A time is negative, a batch is not. Counts are one higher than stored; 0 stands for NULL.
const PACKED_COLUMNS = `
  ${packedInts("r.room")} AS rooms,
  ${packedValues("coalesce(r.last_batch, 0)")} AS last_batches,
  ${packedValues("coalesce(r.activity_batch, - r.activity_us)")} AS activity,
  ${packedValues("coalesce(r.bump_batch, - r.bump_us)")} AS bump,
  ${packedValues("coalesce(r.members_batch, 0)")} AS members,
  ${packedInts(
    `CASE WHEN r.is_complete AND r.quarantined IS NULL THEN ${IS_SHOWN} ELSE 0 END
       | CASE WHEN r.is_encrypted THEN ${IS_ENCRYPTED} ELSE 0 END`,
  )} AS flags,
  ${packedValues(packedTwo("coalesce(r.joined_count::bigint + 1, 0)", "coalesce(r.invited_count::bigint + 1, 0)"))} AS counts,
  ${packedPairs("r.room", "r.encryption_order_key")}
    FILTER (WHERE r.encryption_order_key IS NOT NULL) AS encryption_order_keys,
  json_agg(r.room_id) AS room_ids, json_agg(r.room_type) AS types, json_agg(r.name) AS names,
  json_agg(r.avatar) AS avatars`;

const SELECT_CHUNK = `
  SELECT ${PACKED_COLUMNS}
    FROM (SELECT * FROM rooms WHERE room > $1 ORDER BY room LIMIT ${CHUNK_ROOMS}) AS r
  HAVING count(*) > 0`;

/** Every room, some thousands at a time. While some are taken in, the next are read. */
export async function* selectAllColumns(db: Queryable): AsyncGenerator<ColumnRows> {
  const read = (after: number) => {
    const rows = db.query<PackedRow>({ name: "all-columns", text: SELECT_CHUNK, values: [after] });
    // Somebody may stop before these are awaited.
    rows.catch(() => undefined);
    return rows;
  };
  let reading = read(0);
  for (;;) {
    const [packed] = await reading;
    if (packed === undefined) return;
    reading = read(intsOf(packed.rooms).at(-1) ?? 0);
    yield await unpack(db, packed);
  }
}

const SELECT_SOME = `
  SELECT ${PACKED_COLUMNS} FROM rooms AS r WHERE r.room = ANY($1::int[]) HAVING count(*) > 0`;

/** undefined: nothing is stored of any of the rooms. */
export async function selectColumns(db: Queryable, rooms: ReadonlySet<RoomNid>): Promise<ColumnRows | undefined> {
  if (rooms.size === 0) return undefined;
  const [packed] = await db.query<PackedRow>({ name: "some-columns", text: SELECT_SOME, values: [[...rooms]] });
  return packed && (await unpack(db, packed));
}

async function unpack(db: Queryable, packed: PackedRow): Promise<ColumnRows> {
  const lastBatches = valuesOf(packed.last_batches);
  const activity = valuesOf(packed.activity);
  const bump = valuesOf(packed.bump);
  const members = valuesOf(packed.members);
  const batches = new Set<number>();
  for (const column of [lastBatches, activity, bump, members])
    for (const batch of column) if (batch > 0) batches.add(batch);
  const positions = await selectPositions(db, batches);
  const inTime = (value: number) => (value > 0 ? (positions.get(value) ?? 0) : -value);
  const flags = intsOf(packed.flags);
  const counts = valuesOf(packed.counts);
  const encryptionOrderKeys = new Map<number, number>();
  eachPair(packed.encryption_order_keys, (room, orderKey) => encryptionOrderKeys.set(room, orderKey));
  return {
    rooms: intsOf(packed.rooms),
    roomIds: packed.room_ids,
    isShown: Uint8Array.from(flags, (value) => value & IS_SHOWN),
    isEncrypted: Uint8Array.from(flags, (value) => value & IS_ENCRYPTED),
    encryptionOrderKeys,
    roomTypes: packed.types,
    names: packed.names,
    avatars: packed.avatars,
    joinedCounts: Int32Array.from(counts, (value) => highOf(value) - 1),
    invitedCounts: Int32Array.from(counts, (value) => lowOf(value) - 1),
    activity: activity.map(inTime),
    bump: bump.map(inTime),
    members: members.map(inTime),
    changed: lastBatches.map(inTime),
  };
}
