import type { RoomId, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Tx } from "./database.ts";

// The user's rooms are compared before anything else is looked up of those that remain, which are few.
const SELECT_LEFT_OUT = `
  WITH left_out AS MATERIALIZED (
    SELECT r.room_id, m.membership, m.sender, m.since_batch
      FROM memberships AS m JOIN rooms AS r USING (room)
     WHERE m.user_nid = $1 AND m.membership IN (${Membership.join}, ${Membership.invite}, ${Membership.knock})
       AND r.room_id NOT IN (SELECT unnest($2::text[])))
  SELECT l.room_id, l.membership, l.sender, coalesce(c.position, 0) AS since
    FROM left_out AS l LEFT JOIN changes AS c ON c.batch = l.since_batch
   WHERE coalesce(c.position, 0) <= $3`;

/** A stored membership of a user who is in the room, or asks or is asked to come in. */
export interface LeftOut {
  readonly roomId: RoomId;
  readonly membership: Membership;
  readonly sender: string;
  /** Position of the change to it. */
  readonly since: StreamPosition;
}

/** Memberships of a user that are stored at or below `storedBefore`, in rooms that are not among the named ones. */
export async function selectLeftOut(
  tx: Tx,
  userNid: UserNid,
  { named, storedBefore }: { readonly named: ReadonlySet<RoomId>; readonly storedBefore: StreamPosition },
): Promise<readonly LeftOut[]> {
  const rows = await tx.query<{ room_id: string; membership: number; sender: string; since: number }>({
    name: "select-left-out",
    text: SELECT_LEFT_OUT,
    values: [userNid, [...named], storedBefore],
  });
  return rows.map(({ room_id: roomId, membership, sender, since }) => ({
    roomId: roomId as RoomId,
    membership: membership as Membership,
    sender,
    since: since as StreamPosition,
  }));
}
