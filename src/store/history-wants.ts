import type { HistoryWant } from "../model/history-want.ts";
import type { EventId, RoomId, RoomNid, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Visibility } from "../model/visibility.ts";
import type { Database, Queryable } from "./database.ts";
import { settleWant } from "./settle-want.ts";

/** Channel on which a process that serves clients says that a user wants history; the payload is the user's number. */
export const HISTORY_CHANNEL = "slidecar_history";

/**
 * How long what nobody settled counts as being asked for. Longer: with a poller that ended, it is not asked for by the next
 * one. Shorter: what takes the homeserver long is asked for twice.
 */
const PENDING_SECONDS = 30;

// In one order everywhere, lest two requests of a user wait for each other in a circle.
const ASK = `
  INSERT INTO history_wants AS h (user_nid, room, token, anchor, visibility, events, again_at)
  SELECT $1, w.room, w.token, w.anchor, w.visibility, w.events, now() + ${PENDING_SECONDS} * interval '1 second'
    FROM unnest($2::int[], $3::text[], $4::text[], $5::smallint[], $6::int[]) AS w (room, token, anchor, visibility, events)
   ORDER BY w.room, w.token
  ON CONFLICT (user_nid, room, token) DO UPDATE
     SET anchor = EXCLUDED.anchor, visibility = EXCLUDED.visibility, events = EXCLUDED.events,
         again_at = EXCLUDED.again_at, is_taken = false, is_settled = false
   WHERE h.again_at <= now()
  RETURNING room`;

/** Notes what a user wants. true: some of it is to be asked for now; else it is being asked for, or was not long ago. */
export async function askHistory(db: Queryable, userNid: UserNid, wants: readonly HistoryWant[]): Promise<boolean> {
  const values = [
    userNid,
    wants.map(({ room }) => room),
    wants.map(({ token }) => token),
    wants.map(({ anchor }) => anchor),
    wants.map(({ visibility }) => visibility),
    wants.map(({ events }) => events),
  ];
  return (await db.query({ name: "ask-history", text: ASK, values })).length > 0;
}

const IS_PENDING = `
  SELECT FROM history_wants AS h JOIN unnest($2::int[], $3::text[]) AS w (room, token) USING (room, token)
   WHERE h.user_nid = $1 AND NOT h.is_settled AND h.again_at > now()
   LIMIT 1`;

/** Whether any of it is still being asked for. */
export async function isHistoryPending(
  db: Queryable,
  userNid: UserNid,
  wants: readonly HistoryWant[],
): Promise<boolean> {
  const values = [userNid, wants.map(({ room }) => room), wants.map(({ token }) => token)];
  return (await db.query({ name: "is-history-pending", text: IS_PENDING, values })).length > 0;
}

const TAKE = `
  UPDATE history_wants AS h SET is_taken = true
    FROM rooms AS r
   WHERE h.user_nid = $1 AND NOT h.is_taken AND h.again_at > now() AND r.room = h.room
  RETURNING h.room, r.room_id, h.token, h.anchor, h.visibility, h.events`;

interface WantRow {
  readonly room: number;
  readonly room_id: string;
  readonly token: string;
  readonly anchor: string | null;
  readonly visibility: number;
  readonly events: number;
}

/** What a user wants and nobody asks for yet. Whoever gets it has to {@link settleHistory} it. */
export async function takeHistory(db: Queryable, userNid: UserNid): Promise<readonly HistoryWant[]> {
  const rows = await db.query<WantRow>({ name: "take-history", text: TAKE, values: [userNid] });
  return rows.map((row) => ({
    room: row.room as RoomNid,
    roomId: row.room_id as RoomId,
    token: row.token,
    anchor: (row.anchor ?? undefined) as EventId | undefined,
    visibility: row.visibility as Visibility,
    events: row.events,
  }));
}

const SETTLE = `
  UPDATE history_wants SET is_settled = true, again_at = now() + $4 * interval '1 second'
   WHERE user_nid = $1 AND room = $2 AND token = $3
  RETURNING room`;

/** It was asked for, and is not again for so many seconds. Wakes who waits for it; returns the position of that. */
export async function settleHistory(
  db: Database,
  userNid: UserNid,
  { room, token }: HistoryWant,
  againAfterSeconds: number,
): Promise<StreamPosition | undefined> {
  const values = [userNid, room, token, againAfterSeconds];
  return await settleWant(db, userNid, { name: "settle-history", text: SETTLE, values });
}

/** Forgets what may be asked for again. */
export async function expireHistoryWants(db: Queryable): Promise<void> {
  await db.query({ name: "expire-history", text: "DELETE FROM history_wants WHERE again_at <= now()", values: [] });
}
