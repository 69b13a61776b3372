import { ChangeFlag, ChangeStream } from "../model/change.ts";
import type { ForgottenRoom } from "../model/forgotten-room.ts";
import type { RoomNid, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database } from "./database.ts";
import { drawBatches, publishChanges } from "./publish.ts";

const DEPARTED = `(${Membership.leave}, ${Membership.ban})`;

// The departure that a forgetting presumes may not be stored yet: then readers see it together with that.
const FORGET = `
  UPDATE memberships AS m
     SET forgotten = true, batch = CASE WHEN m.membership IN ${DEPARTED} THEN $4 ELSE m.batch END
    FROM users AS u, rooms AS r
   WHERE u.user_id = $1 AND r.room_id = $2 AND m.user_nid = u.user_nid AND m.room = r.room AND NOT m.forgotten
     AND (m.membership IN ${DEPARTED} OR coalesce((SELECT position FROM changes WHERE batch = m.batch), 0) <= $3)
  RETURNING m.user_nid, m.room, m.membership IN ${DEPARTED} AS is_departed`;

/**
 * Stores that a user has forgotten a room. Where they are still in it, as far as that is stored, it counts for the departure
 * that is to come; a membership that is newer than the request is another stay. Returns the position; undefined: readers
 * see nothing of it, or not yet.
 */
export async function forgetRoom(
  db: Database,
  { userId, roomId, storedBefore }: ForgottenRoom,
): Promise<StreamPosition | undefined> {
  return await db.transaction(
    async (tx) => {
      const [batch] = await drawBatches(tx, 1);
      const rows = await tx.query<{ user_nid: number; room: number; is_departed: boolean }>({
        name: "forget-room",
        text: FORGET,
        values: [userId, roomId, storedBefore, batch],
      });
      const changes = rows.flatMap(({ user_nid: userNid, room, is_departed: isDeparted }) =>
        isDeparted && batch !== undefined ? [{ batch, userNid: userNid as UserNid, room: room as RoomNid }] : [],
      );
      const stream = ChangeStream.membership;
      const news = changes.map((change) => ({ ...change, stream, flags: ChangeFlag.columns }));
      return (await publishChanges(tx, news, undefined))[0];
    },
    { lane: "live" },
  );
}
