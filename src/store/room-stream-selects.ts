import type {
  AccountDataReads,
  ReadAccountDatum,
  ReadReceipt,
  ReadTyping,
  ReceiptReads,
  RoomAfter,
} from "../model/extension-reads.ts";
import type { EventId, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Visibility } from "../model/visibility.ts";
import type { Queryable } from "./database.ts";
import { GLOBAL, TYPING_SECONDS } from "./user-facts.ts";

// Limits and laterals keep the planner from reading tables whole, whatever it thinks of the lengths of the lists.

/** Rooms and where their news begin, as two parameters of a statement. */
const parametersOf = (rooms: readonly RoomAfter[]): [RoomNid[], (StreamPosition | null)[]] => [
  rooms.map(({ room }) => room),
  rooms.map(({ after }) => after ?? null),
];

const SELECT_ACCOUNT_DATA = `
  SELECT w.room, a.type, a.body
    FROM unnest($2::int[], $3::bigint[]) AS w (room, after)
   CROSS JOIN LATERAL (
         SELECT k.type, k.body, (SELECT c.position FROM changes AS c WHERE c.batch = k.batch) AS position
           FROM account_data AS k WHERE k.user_nid = $1 AND k.room = w.room) AS a
   WHERE w.after IS NULL OR (a.position > w.after AND a.position <= $4)
   ORDER BY w.room, a.type`;

/** Account data of one user. */
export async function selectAccountData(
  db: Queryable,
  userNid: UserNid,
  { global, rooms }: AccountDataReads,
  to: StreamPosition,
): Promise<readonly ReadAccountDatum[]> {
  const wanted = global === undefined ? rooms : [{ room: GLOBAL, ...global }, ...rooms];
  const rows = await db.query<{ room: number; type: string; body: Buffer }>({
    name: "select-account-data",
    text: SELECT_ACCOUNT_DATA,
    values: [userNid, ...parametersOf(wanted), to],
  });
  return rows.map(({ room, ...event }) => ({ room: room === GLOBAL ? undefined : (room as RoomNid), ...event }));
}

const SELECT_TYPING = `
  SELECT w.room, CASE WHEN t.heard_at < now() - interval '${TYPING_SECONDS} seconds' THEN '{}' ELSE t.user_ids END AS user_ids
    FROM unnest($1::int[], $2::bigint[]) AS w (room, after)
   CROSS JOIN LATERAL (SELECT * FROM typing AS k WHERE k.room = w.room LIMIT 1) AS t
   WHERE w.after IS NULL
      OR (SELECT c.position > w.after AND c.position <= $3 FROM changes AS c WHERE c.batch = t.batch)`;

/** Who types. Of whom nothing was heard for long, they do not. */
export async function selectTyping(
  db: Queryable,
  rooms: readonly RoomAfter[],
  to: StreamPosition,
): Promise<readonly ReadTyping[]> {
  const rows = await db.query<{ room: number; user_ids: UserId[] }>({
    name: "select-typing",
    text: SELECT_TYPING,
    values: [...parametersOf(rooms), to],
  });
  return rows.map(({ room, user_ids: userIds }) => ({ room: room as RoomNid, userIds }));
}

interface ReceiptRow {
  readonly room: number;
  readonly user_id: string;
  readonly receipt_type: string;
  readonly thread_id: string;
  readonly event_id: string;
  readonly ts: number;
  readonly order_key: number | null;
  readonly visibility: number | null;
}

const COLUMNS = "r.room, r.user_id, r.receipt_type, r.thread_id, r.event_id, r.ts";
const UNPLACED = "NULL::bigint AS order_key, NULL::smallint AS visibility";

const SELECT_OWN = `
  SELECT ${COLUMNS}, ${UNPLACED}
    FROM unnest($1::int[]) AS w (room)
   CROSS JOIN LATERAL (SELECT * FROM receipts AS k WHERE k.room = w.room AND k.user_id = $2 OFFSET 0) AS r`;

// Of events that the answer shows.
const SELECT_ON_EVENTS = `
  SELECT ${COLUMNS}, ${UNPLACED}
    FROM unnest($1::int[], $2::text[]) AS w (room, event_id)
   CROSS JOIN LATERAL (SELECT * FROM receipts AS k WHERE k.room = w.room AND k.event_id = w.event_id OFFSET 0) AS r`;

const SELECT_ON_NEWEST = `
  SELECT ${COLUMNS}, e.order_key, e.visibility
    FROM unnest($1::int[], $2::int[]) AS w (room, events)
   CROSS JOIN LATERAL (
         SELECT k.event_id, k.order_key, k.visibility FROM events AS k
          WHERE k.room = w.room AND k.order_key IS NOT NULL
          ORDER BY k.order_key DESC LIMIT w.events) AS e
   CROSS JOIN LATERAL (SELECT * FROM receipts AS k WHERE k.room = w.room AND k.event_id = e.event_id OFFSET 0) AS r`;

const SELECT_CHANGED = `
  SELECT ${COLUMNS}, e.order_key, e.visibility
    FROM unnest($1::int[], $2::bigint[]) AS w (room, after)
   CROSS JOIN LATERAL (
         SELECT c.batch FROM changes AS c
          WHERE c.room = w.room AND c.stream = 4 AND c.position > w.after AND c.position <= $3 OFFSET 0) AS b
   CROSS JOIN LATERAL (SELECT * FROM receipts AS k WHERE k.room = w.room AND k.batch = b.batch OFFSET 0) AS r
    LEFT JOIN LATERAL (
         SELECT k.order_key, k.visibility FROM events AS k
          WHERE k.event_id = r.event_id AND k.room = r.room LIMIT 1) AS e ON true`;

/** Receipts of whomever and of whatever type: who is shown what is decided elsewhere. */
export async function selectReceipts(
  db: Queryable,
  userId: UserId,
  { own, onEvents, onNewest, changed }: ReceiptReads,
  to: StreamPosition,
): Promise<readonly ReadReceipt[]> {
  const select = async (name: string, text: string, keys: readonly unknown[], values: readonly unknown[]) =>
    keys.length === 0 ? [] : await db.query<ReceiptRow>({ name, text, values: [...values] });
  const rooms = (all: readonly { readonly room: RoomNid }[]) => all.map(({ room }) => room);
  const rows = await Promise.all([
    select("own-receipts", SELECT_OWN, own, [own, userId]),
    select("receipts-on-events", SELECT_ON_EVENTS, onEvents, [rooms(onEvents), onEvents.map(({ eventId }) => eventId)]),
    select("receipts-on-newest", SELECT_ON_NEWEST, onNewest, [rooms(onNewest), onNewest.map(({ events }) => events)]),
    select("changed-receipts", SELECT_CHANGED, changed, [rooms(changed), changed.map(({ after }) => after), to]),
  ]);
  return rows.flat().map(toReceipt);
}

const toReceipt = ({ order_key: orderKey, visibility, ...row }: ReceiptRow): ReadReceipt => ({
  room: row.room as RoomNid,
  userId: row.user_id as UserId,
  type: row.receipt_type,
  threadId: row.thread_id,
  eventId: row.event_id as EventId,
  tsMs: row.ts,
  event: visibility === null ? undefined : { orderKey: orderKey ?? undefined, visibility: visibility as Visibility },
});
