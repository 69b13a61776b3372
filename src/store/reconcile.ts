import type { RoomId, UserNid } from "../model/ids.ts";
import type { Membership } from "../model/membership.ts";
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
