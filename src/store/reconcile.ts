import type { EventId, RoomId, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import { stateKeyOf } from "../model/room-facts.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";

const BEGIN = `
  UPDATE users SET reconciled_at = now()
   WHERE user_nid = $1 AND (reconciled_at IS NULL OR reconciled_at < now() - $2 * interval '1 millisecond')
  RETURNING user_nid`;

/** Whether a user's rooms are to be compared now; it is noted that they are, whichever process asks. */
export async function beginReconcile(db: Queryable, userNid: UserNid, everyMs: number): Promise<boolean> {
  const rows = await db.query({ name: "begin-reconcile", text: BEGIN, values: [userNid, everyMs] });
  return rows.length > 0;
}

/** A user's membership as it is stored. */
export interface OwnRoom {
  readonly membership: Membership;
  /** Position of the change to this membership. */
  readonly since: StreamPosition;
}

const SELECT_OWN = `
  SELECT r.room_id, m.membership, coalesce(c.position, 0) AS since
    FROM memberships AS m
    JOIN rooms AS r USING (room)
    LEFT JOIN changes AS c ON c.batch = m.since_batch
   WHERE m.user_nid = $1`;

/** All memberships of a user. */
export async function selectOwnRooms(db: Queryable, userNid: UserNid): Promise<ReadonlyMap<RoomId, OwnRoom>> {
  const rows = await db.query<{ room_id: string; membership: number; since: number }>({
    name: "own-rooms",
    text: SELECT_OWN,
    values: [userNid],
  });
  return new Map(
    rows.map(({ room_id, membership, since }) => [
      room_id as RoomId,
      { membership: membership as Membership, since: since as StreamPosition },
    ]),
  );
}

const SELECT_WHOLE = `SELECT room_id FROM rooms WHERE room_id = ANY($1::text[]) AND is_complete`;

/** Those of the rooms of which a whole baseline is stored. */
export async function selectWholeRooms(db: Queryable, rooms: readonly RoomId[]): Promise<ReadonlySet<RoomId>> {
  if (rooms.length === 0) return new Set();
  const found = await db.query<{ room_id: string }>({ name: "whole-rooms", text: SELECT_WHOLE, values: [rooms] });
  return new Set(found.map(({ room_id: roomId }) => roomId as RoomId));
}

// Rooms that were never compared first, of these the ones with the newest facts.
const SELECT_TO_COMPARE = `
  SELECT r.room_id
    FROM memberships AS m
    JOIN rooms AS r USING (room)
   WHERE m.user_nid = $1 AND m.membership = ${Membership.join} AND r.is_complete AND r.quarantined IS NULL
     AND (r.state_compared_at IS NULL OR r.state_compared_at < now() - $2 * interval '1 millisecond')
   ORDER BY r.state_compared_at NULLS FIRST, r.last_batch DESC
   LIMIT $3`;

/** Rooms of a user whose state was not compared for so long, those first that wait longest. */
export async function selectRoomsToCompare(
  db: Queryable,
  userNid: UserNid,
  { everyMs, limit }: { readonly everyMs: number; readonly limit: number },
): Promise<readonly RoomId[]> {
  const values = [userNid, everyMs, limit];
  const rows = await db.query<{ room_id: RoomId }>({ name: "rooms-to-compare", text: SELECT_TO_COMPARE, values });
  return rows.map(({ room_id: roomId }) => roomId);
}

const BEGIN_COMPARE = `
  UPDATE rooms SET state_compared_at = now()
   WHERE room_id = $1 AND (state_compared_at IS NULL OR state_compared_at < now() - $2 * interval '1 millisecond')
  RETURNING room`;

/** Whether a room's state is to be compared now; it is noted that it is, whichever process asks. */
export async function beginCompare(db: Queryable, roomId: RoomId, everyMs: number): Promise<boolean> {
  const rows = await db.query({ name: "begin-compare", text: BEGIN_COMPARE, values: [roomId, everyMs] });
  return rows.length > 0;
}

/** What is stored as current for a state key. */
export interface StoredState {
  readonly type: string;
  readonly stateKey: string;
  /** undefined: no value, as the homeserver said. */
  readonly eventId: EventId | undefined;
  readonly position: StreamPosition;
}

/** What is stored of a room's state. */
export interface RoomState {
  /** By `stateKeyOf`, without content; members as far as they are known. */
  readonly values: ReadonlyMap<string, StoredState>;
  readonly areMembersKnown: boolean;
}

const SELECT_CURRENT = `
  SELECT r.members_batch IS NOT NULL AS are_members_known, s.type, s.state_key, e.event_id, coalesce(c.position, 0) AS position
    FROM rooms AS r
    JOIN current_state AS s USING (room)
    LEFT JOIN events AS e ON e.nid = s.nid
    LEFT JOIN changes AS c ON c.batch = s.batch
   WHERE r.room_id = $1`;

interface CurrentRow {
  readonly are_members_known: boolean;
  readonly type: string;
  readonly state_key: string;
  readonly event_id: string | null;
  readonly position: number;
}

/** All that is stored of a room's state. */
export async function selectCurrentState(db: Queryable, roomId: RoomId): Promise<RoomState> {
  const rows = await db.query<CurrentRow>({ name: "current-state", text: SELECT_CURRENT, values: [roomId] });
  const values = new Map(
    rows.map(({ type, state_key: stateKey, event_id, position }) => [
      stateKeyOf(type, stateKey),
      {
        type,
        stateKey,
        eventId: (event_id ?? undefined) as EventId | undefined,
        position: position as StreamPosition,
      },
    ]),
  );
  return { values, areMembersKnown: rows[0]?.are_members_known ?? false };
}
