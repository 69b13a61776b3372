import type { RoomId, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { Queryable } from "./database.ts";

/** Says that wishes were stored; the payload says nothing. */
export const MEMBER_WISHES_CHANNEL = "slidecar_member_wishes";

const WISH = `
  INSERT INTO member_wishes (room, user_nid)
  SELECT w.room, $2 FROM unnest($1::int[]) AS w (room) ORDER BY w.room
  ON CONFLICT (room) DO UPDATE SET user_nid = EXCLUDED.user_nid, wanted_at = now()`;

/** A client of the user wants all members of these rooms, each of which the user is in. */
export async function wishMembers(db: Queryable, userNid: UserNid, rooms: readonly RoomNid[]): Promise<void> {
  await db.query({ name: "wish-members", text: WISH, values: [rooms, userNid] });
}

/** A room whose members are to be read. */
export interface MemberWish {
  readonly room: RoomNid;
  readonly roomId: RoomId;
  readonly userNid: UserNid;
  readonly userId: UserId;
  /** Names this reading. */
  readonly reading: number;
  /** How often it was tried. */
  readonly attempts: number;
}

// The name is written into the room before anybody is asked: a hole that is stored from then on takes it away again.
const TAKE = `
  WITH taken AS (
         UPDATE member_wishes AS w
            SET taken_until = now() + $2 * interval '1 millisecond', attempts = w.attempts + 1
           FROM users AS u
          WHERE u.user_nid = w.user_nid
            AND w.room = (
                SELECT o.room FROM member_wishes AS o
                 WHERE (o.taken_until IS NULL OR o.taken_until < now())
                   AND EXISTS (SELECT FROM devices AS d WHERE d.user_nid = o.user_nid AND d.owner = $1)
                 ORDER BY o.wanted_at
                 LIMIT 1
                   FOR UPDATE SKIP LOCKED)
         RETURNING w.room, w.user_nid, u.user_id, w.attempts)
  UPDATE rooms AS r
     SET members_reading = nextval('member_readings')
    FROM taken AS t
   WHERE r.room = t.room
  RETURNING r.room, r.room_id, t.user_nid, t.user_id, r.members_reading AS reading, t.attempts`;

/** The wish that waits longest, of a user whose device is polled by `owner`; nobody else takes it for so long. */
export async function takeMemberWish(db: Queryable, owner: number, forMs: number): Promise<MemberWish | undefined> {
  const [row] = await db.query<{
    room: RoomNid;
    room_id: RoomId;
    user_nid: UserNid;
    user_id: UserId;
    reading: number;
    attempts: number;
  }>({ name: "take-member-wish", text: TAKE, values: [owner, forMs] });
  if (row === undefined) return undefined;
  const { room, room_id: roomId, user_nid: userNid, user_id: userId, reading, attempts } = row;
  return { room, roomId, userNid, userId, reading, attempts };
}

const EXPIRE = `
  DELETE FROM member_wishes
   WHERE wanted_at < now() - $1 * interval '1 millisecond' AND (taken_until IS NULL OR taken_until < now())`;

/** Forgets wishes that nobody has repeated for so long: who comes back says so. */
export async function expireMemberWishes(db: Queryable, afterMs: number): Promise<void> {
  await db.query({ name: "expire-member-wishes", text: EXPIRE, values: [afterMs] });
}

/** It was granted, or is given up. */
export async function endMemberWish(db: Queryable, room: RoomNid): Promise<void> {
  await db.query({ name: "end-member-wish", text: "DELETE FROM member_wishes WHERE room = $1", values: [room] });
}

/** It is tried again after so long. */
export async function delayMemberWish(db: Queryable, room: RoomNid, ms: number): Promise<void> {
  const text = "UPDATE member_wishes SET taken_until = now() + $2 * interval '1 millisecond' WHERE room = $1";
  await db.query({ name: "delay-member-wish", text, values: [room, ms] });
}

/** Whether all members of a room are known. */
export async function areMembersKnown(db: Queryable, room: RoomNid): Promise<boolean> {
  const text = "SELECT FROM rooms WHERE room = $1 AND members_batch IS NOT NULL";
  return (await db.query({ name: "are-members-known", text, values: [room] })).length > 0;
}
