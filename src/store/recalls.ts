import type { RoomId, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database, Queryable } from "./database.ts";
import { settleWant } from "./settle-want.ts";

/** Channel on which a process that serves clients says that a user wants rooms recalled; the payload is the user's number. */
export const RECALLS_CHANNEL = "slidecar_recalls";

/**
 * Rooms of one user that are asked for in an hour, by whichever of their devices. More: who subscribes to rooms that they never
 * were in makes the homeserver work. Fewer: who looks through many rooms that they left waits for some.
 */
const MAX_IN_HOUR = 60;

/** How long what nobody settled counts as being asked for. Longer: with a poller that ended, it is not asked for by the next one. */
const PENDING_SECONDS = 30;

// In one order everywhere, lest two requests of a user wait for each other in a circle.
const ASK = `
  INSERT INTO recalls AS r (user_nid, room_id, asked_at, again_at)
  SELECT $1, w.room_id, now(), now() + ${PENDING_SECONDS} * interval '1 second'
    FROM unnest($2::text[]) AS w (room_id)
   WHERE NOT EXISTS (SELECT FROM recalls AS k WHERE k.user_nid = $1 AND k.room_id = w.room_id AND k.again_at > now())
   ORDER BY w.room_id
   LIMIT greatest(0, ${MAX_IN_HOUR} - (SELECT count(*) FROM recalls AS k
                                        WHERE k.user_nid = $1 AND k.asked_at > now() - interval '1 hour'))
  ON CONFLICT (user_nid, room_id) DO UPDATE
     SET asked_at = EXCLUDED.asked_at, again_at = EXCLUDED.again_at, is_taken = false, is_settled = false
   WHERE r.again_at <= now()
  RETURNING room_id`;

/** Notes which rooms a user wants recalled. true: some are to be asked for now; the others are, were not long ago, or are too many. */
export async function askRecalls(db: Queryable, userNid: UserNid, rooms: readonly RoomId[]): Promise<boolean> {
  return (await db.query({ name: "ask-recalls", text: ASK, values: [userNid, rooms] })).length > 0;
}

const IS_PENDING = `
  SELECT FROM recalls
   WHERE user_nid = $1 AND room_id = ANY($2::text[]) AND NOT is_settled AND again_at > now()
   LIMIT 1`;

/** Whether any of them is still being asked for. */
export async function isRecallPending(db: Queryable, userNid: UserNid, rooms: readonly RoomId[]): Promise<boolean> {
  return (await db.query({ name: "is-recall-pending", text: IS_PENDING, values: [userNid, rooms] })).length > 0;
}

const TAKE = `
  UPDATE recalls SET is_taken = true WHERE user_nid = $1 AND NOT is_taken AND again_at > now() RETURNING room_id`;

/** What a user wants recalled and nobody asks for yet. Whoever gets it has to {@link settleRecall} it. */
export async function takeRecalls(db: Queryable, userNid: UserNid): Promise<readonly RoomId[]> {
  const rows = await db.query<{ room_id: RoomId }>({ name: "take-recalls", text: TAKE, values: [userNid] });
  return rows.map(({ room_id: roomId }) => roomId);
}

const SETTLE = `
  UPDATE recalls SET is_settled = true, again_at = now() + $3 * interval '1 second'
   WHERE user_nid = $1 AND room_id = $2
  RETURNING room_id`;

/** It was asked for, and is not again for so many seconds. Wakes who waits for it; returns the position of that. */
export async function settleRecall(
  db: Database,
  userNid: UserNid,
  roomId: RoomId,
  againAfterSeconds: number,
): Promise<StreamPosition | undefined> {
  const values = [userNid, roomId, againAfterSeconds];
  return await settleWant(db, userNid, { name: "settle-recall", text: SETTLE, values });
}

/** Forgets what may be asked for again. */
export async function expireRecalls(db: Queryable): Promise<void> {
  const text = "DELETE FROM recalls WHERE again_at <= now() AND asked_at <= now() - interval '1 hour'";
  await db.query({ name: "expire-recalls", text, values: [] });
}
