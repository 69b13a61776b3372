import type { ChunkNid, RoomId, RoomNid } from "../model/ids.ts";
import type { OrderMark } from "../model/room-facts.ts";
import type { RoomRow } from "../model/room-row.ts";
import type { Visibility } from "../model/visibility.ts";
import type { Tx } from "./database.ts";

interface Row {
  readonly room: number;
  readonly room_id: string;
  readonly is_complete: boolean;
  readonly quarantined: string | null;
  readonly room_version: string | null;
  readonly room_type: string | null;
  readonly name: string | null;
  readonly avatar: string | null;
  readonly is_encrypted: boolean;
  readonly encryption_order_key: number | null;
  readonly history_visibility: number;
  readonly tombstone_successor: string | null;
  readonly joined_count: number | null;
  readonly invited_count: number | null;
  readonly first_order_key: number | null;
  readonly last_order_key: number | null;
  readonly last_chunk: number | null;
  readonly members_batch: number | null;
  readonly members_reading: number | null;
}

const LOCK_ROOMS = `
  SELECT r.room, r.room_id, r.is_complete, r.quarantined, r.room_version, r.room_type, r.name, r.avatar, r.is_encrypted,
         r.history_visibility, r.tombstone_successor, r.joined_count, r.invited_count, r.first_order_key, r.last_order_key,
         r.last_chunk, r.members_batch, r.members_reading, r.encryption_order_key
    FROM rooms AS r
   WHERE r.room_id = ANY($1::text[])
   ORDER BY r.room
     FOR UPDATE`;

// Rooms that are known are looked at first: a conflict costs a number of the identity column.
const INSERT_ROOMS = `
  INSERT INTO rooms (room_id)
  SELECT w.room_id FROM unnest($1::text[]) AS w (room_id)
   WHERE NOT EXISTS (SELECT FROM rooms AS r WHERE r.room_id = w.room_id)
  ON CONFLICT (room_id) DO NOTHING`;

/**
 * Locks the rooms until the transaction ends, in one order everywhere so that writers never wait for each other in a
 * circle; makes rows for rooms that have none.
 */
export async function lockRooms(tx: Tx, roomIds: readonly RoomId[]): Promise<ReadonlyMap<RoomId, RoomRow>> {
  const wanted = [...new Set(roomIds)].sort();
  if (wanted.length === 0) return new Map();
  const [, rows] = await Promise.all([
    tx.query({ name: "insert-rooms", text: INSERT_ROOMS, values: [wanted] }),
    tx.query<Row>({ name: "lock-rooms", text: LOCK_ROOMS, values: [wanted] }),
  ]);
  return new Map(rows.map((row) => [row.room_id as RoomId, toRoomRow(row)]));
}

const toRoomRow = (row: Row): RoomRow => ({
  room: row.room as RoomNid,
  roomId: row.room_id as RoomId,
  isComplete: row.is_complete,
  quarantined: row.quarantined ?? undefined,
  roomVersion: row.room_version ?? undefined,
  roomType: row.room_type ?? undefined,
  name: row.name ?? undefined,
  avatar: row.avatar ?? undefined,
  isEncrypted: row.is_encrypted,
  encryptionOrderKey: row.encryption_order_key ?? undefined,
  historyVisibility: row.history_visibility as Visibility,
  tombstoneSuccessor: row.tombstone_successor ?? undefined,
  joinedCount: row.joined_count ?? undefined,
  invitedCount: row.invited_count ?? undefined,
  firstOrderKey: row.first_order_key ?? undefined,
  lastOrderKey: row.last_order_key ?? undefined,
  lastChunk: (row.last_chunk ?? undefined) as ChunkNid | undefined,
  membersBatch: row.members_batch ?? undefined,
  membersReading: row.members_reading ?? undefined,
});

/** A room's new columns. */
export interface RoomUpdate {
  readonly row: RoomRow;
  /** The batch of the newest fact. */
  readonly lastBatch: number;
  readonly activity: OrderMark | undefined;
  readonly bump: OrderMark | undefined;
}

const UPDATE_ROOMS = `
  UPDATE rooms AS r
     SET is_complete = u.is_complete, quarantined = u.quarantined, room_version = u.room_version, room_type = u.room_type,
         name = u.name, avatar = u.avatar, is_encrypted = u.is_encrypted, history_visibility = u.history_visibility,
         tombstone_successor = u.tombstone_successor, joined_count = u.joined_count, invited_count = u.invited_count,
         first_order_key = u.first_order_key, last_order_key = u.last_order_key, last_chunk = u.last_chunk,
         last_batch = u.last_batch, members_batch = u.members_batch, members_reading = u.members_reading,
         encryption_order_key = u.encryption_order_key,
         activity_batch = CASE WHEN u.has_activity THEN u.activity_batch ELSE r.activity_batch END,
         activity_us = CASE WHEN u.has_activity THEN u.activity_us ELSE r.activity_us END,
         bump_batch = CASE WHEN u.has_bump THEN u.bump_batch ELSE r.bump_batch END,
         bump_us = CASE WHEN u.has_bump THEN u.bump_us ELSE r.bump_us END
    FROM unnest($1::int[], $2::bool[], $3::text[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bool[],
                $9::smallint[], $10::text[], $11::int[], $12::int[], $13::bigint[], $14::bigint[], $15::bigint[],
                $16::bigint[], $17::bool[], $18::bigint[], $19::bigint[], $20::bool[], $21::bigint[], $22::bigint[],
                $23::bigint[], $24::bigint[], $25::bigint[])
         AS u (room, is_complete, quarantined, room_version, room_type, name, avatar, is_encrypted, history_visibility,
               tombstone_successor, joined_count, invited_count, first_order_key, last_order_key, last_chunk, last_batch,
               has_activity, activity_batch, activity_us, has_bump, bump_batch, bump_us, members_batch, members_reading,
               encryption_order_key)
   WHERE r.room = u.room`;

/** Writes the columns of locked rooms. */
export async function updateRooms(tx: Tx, updates: readonly RoomUpdate[]): Promise<void> {
  if (updates.length === 0) return;
  const columns = [
    updates.map(({ row }) => row.room),
    updates.map(({ row }) => row.isComplete),
    updates.map(({ row }) => row.quarantined),
    updates.map(({ row }) => row.roomVersion),
    updates.map(({ row }) => row.roomType),
    updates.map(({ row }) => row.name),
    updates.map(({ row }) => row.avatar),
    updates.map(({ row }) => row.isEncrypted),
    updates.map(({ row }) => row.historyVisibility),
    updates.map(({ row }) => row.tombstoneSuccessor),
    updates.map(({ row }) => row.joinedCount),
    updates.map(({ row }) => row.invitedCount),
    updates.map(({ row }) => row.firstOrderKey),
    updates.map(({ row }) => row.lastOrderKey),
    updates.map(({ row }) => row.lastChunk),
    updates.map(({ lastBatch }) => lastBatch),
    updates.map(({ activity }) => activity !== undefined),
    updates.map(({ activity }) => activity?.batch),
    updates.map(({ activity }) => activity?.us ?? 0),
    updates.map(({ bump }) => bump !== undefined),
    updates.map(({ bump }) => bump?.batch),
    updates.map(({ bump }) => bump?.us ?? 0),
    updates.map(({ row }) => row.membersBatch),
    updates.map(({ row }) => row.membersReading),
    updates.map(({ row }) => row.encryptionOrderKey),
  ];
  await tx.query({ name: "update-rooms", text: UPDATE_ROOMS, values: columns });
}
