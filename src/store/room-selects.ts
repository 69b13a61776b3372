import { ChangeFlag } from "../model/change.ts";
import type { EventNid, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { StateAtDeparture } from "../model/room-reads.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { EVENT_COLUMNS, type EventRow, type TimelineRow } from "./event-rows.ts";

/** Of an event in a timeline: what itself says beside {@link EVENT_COLUMNS}, and with it when it was learnt. */
const PLACED_COLUMNS = `${EVENT_COLUMNS}, e.order_key, e.chunk, e.visibility, e.batch`;
const TIMELINE_COLUMNS = `${PLACED_COLUMNS}, c.position`;
/** Of a row `t` with these columns. */
const WITH_CHUNK = "t.*, ch.attested_for, ch.continues, ch.is_start, rt.token AS token_after";
const WITH_CHUNK_AND_TOKENS = `${WITH_CHUNK}, bt.token AS token_before`;
// The limit keeps the planner from reading all chunks once for every room, while there are few.
const CHUNK = `
   CROSS JOIN LATERAL (SELECT * FROM chunks WHERE chunks.chunk = t.chunk LIMIT 1) AS ch
    LEFT JOIN response_tokens AS rt ON rt.batch = t.batch`;
const CHUNK_AND_TOKENS = `${CHUNK}
    LEFT JOIN batch_tokens AS bt ON bt.room = t.room AND bt.order_key = t.order_key`;

const SELECT_TAILS = `
  SELECT ${WITH_CHUNK_AND_TOKENS}
    FROM unnest($1::int[], $2::int[], $3::bigint[]) AS w (room, count, up_to)
   CROSS JOIN LATERAL (
         SELECT ${TIMELINE_COLUMNS}
           FROM events AS e
           JOIN changes AS c ON c.batch = e.batch AND c.position <= $4
          WHERE e.room = w.room AND e.order_key <= w.up_to
          ORDER BY e.order_key DESC
          LIMIT w.count) AS t ${CHUNK_AND_TOKENS}`;

// Whole batches and chunks stand at the end of a room, so what belongs to them is looked up after the limit, where it is found once
// for all their events; and of the tokens that stand before events, the end has no more than the newest ones.
const SELECT_NEWEST = `
  SELECT ${WITH_CHUNK}, c.position,
         bt.tokens[array_position(bt.order_keys, t.order_key)] AS token_before
    FROM unnest($1::int[], $2::int[]) AS w (room, count)
   CROSS JOIN LATERAL (
         SELECT array_agg(order_key) AS order_keys, array_agg(token) AS tokens
           FROM (SELECT order_key, token FROM batch_tokens WHERE room = w.room ORDER BY order_key DESC LIMIT w.count) AS newest
         ) AS bt
   CROSS JOIN LATERAL (
         SELECT ${PLACED_COLUMNS}
           FROM events AS e
          WHERE e.room = w.room AND e.order_key IS NOT NULL
          ORDER BY e.order_key DESC
          LIMIT w.count) AS t
   CROSS JOIN LATERAL (SELECT position FROM changes WHERE changes.batch = t.batch LIMIT 1) AS c ${CHUNK}`;

/** Newest events of rooms, in no order. */
export async function selectNewest(
  db: Queryable,
  wanted: readonly { readonly room: RoomNid; readonly count: number }[],
): Promise<readonly TimelineRow[]> {
  if (wanted.length === 0) return [];
  const values = [wanted.map(({ room }) => room), wanted.map(({ count }) => count)];
  return await db.query<TimelineRow>({ name: "select-newest", text: SELECT_NEWEST, values });
}

/** The largest order key there can be. */
const END_OF_ROOM = Number.MAX_SAFE_INTEGER;

/** Newest events of rooms at or below `to`, in no order. */
export async function selectTails(
  db: Queryable,
  wanted: readonly { readonly room: RoomNid; readonly count: number; readonly upToOrderKey?: number | undefined }[],
  to: StreamPosition,
): Promise<readonly TimelineRow[]> {
  if (wanted.length === 0) return [];
  const values = [
    wanted.map(({ room }) => room),
    wanted.map(({ count }) => count),
    wanted.map(({ upToOrderKey }) => upToOrderKey ?? END_OF_ROOM),
    to,
  ];
  return await db.query<TimelineRow>({ name: "select-tails", text: SELECT_TAILS, values });
}

const SELECT_APPENDED = `
  SELECT ${WITH_CHUNK_AND_TOKENS}
    FROM unnest($1::int[], $2::bigint[]) AS w (room, after)
   CROSS JOIN LATERAL (
         SELECT ${TIMELINE_COLUMNS}
           FROM events AS e
           JOIN changes AS c ON c.batch = e.batch
          WHERE e.room = w.room AND e.order_key > w.after
          ORDER BY e.order_key DESC
          LIMIT $3) AS t ${CHUNK_AND_TOKENS}
   ORDER BY t.room, t.order_key`;

/** The newest events that stand after an order key, at most `limit` of each room, by room and order key. */
export async function selectAppended(
  db: Queryable,
  wanted: readonly { readonly room: RoomNid; readonly after: number }[],
  limit: number,
): Promise<readonly TimelineRow[]> {
  if (wanted.length === 0) return [];
  const values = [wanted.map(({ room }) => room), wanted.map(({ after }) => after), limit];
  return await db.query<TimelineRow>({ name: "select-appended", text: SELECT_APPENDED, values });
}

// Two index ranges around the member events, of which a room may have a hundred thousand.
const SELECT_STATE = `
  SELECT ${EVENT_COLUMNS}, c.position
    FROM unnest($1::int[]) AS w (room)
   CROSS JOIN LATERAL (
         SELECT nid, batch FROM current_state WHERE room = w.room AND type < 'm.room.member'
         UNION ALL
         SELECT nid, batch FROM current_state WHERE room = w.room AND type > 'm.room.member') AS s
    JOIN events AS e ON e.nid = s.nid
    JOIN changes AS c ON c.batch = s.batch`;

/** All current state of rooms but their members. */
export async function selectState(db: Queryable, rooms: readonly RoomNid[]): Promise<readonly EventRow[]> {
  if (rooms.length === 0) return [];
  return await db.query<EventRow>({ name: "select-state", text: SELECT_STATE, values: [rooms] });
}

const SELECT_DELTAS = `
  SELECT ${EVENT_COLUMNS}, c.position, d.room AS delta_room, d.type AS delta_type, d.state_key AS delta_key
    FROM unnest($1::int[], $2::bigint[]) AS w (room, after)
    JOIN changes AS c ON c.room = w.room AND c.position > w.after AND c.position <= $3
    JOIN state_deltas AS d ON d.batch = c.batch
    LEFT JOIN events AS e ON e.nid = d.nid
   ORDER BY c.position`;

/** A change of a state key: to an event, or to no value. */
export type DeltaRow = { readonly delta_room: number; readonly delta_type: string; readonly delta_key: string } & (
  | EventRow
  | { readonly nid: null }
);

/** Values that state keys took in `(after, to]`, in order; one key may occur more than once. */
export async function selectDeltas(
  db: Queryable,
  wanted: readonly { readonly room: RoomNid; readonly after: StreamPosition }[],
  to: StreamPosition,
): Promise<readonly DeltaRow[]> {
  if (wanted.length === 0) return [];
  const values = [wanted.map(({ room }) => room), wanted.map(({ after }) => after), to];
  return await db.query<DeltaRow>({ name: "select-deltas", text: SELECT_DELTAS, values });
}

const SELECT_BATCH_STATE = `
  SELECT ${EVENT_COLUMNS}, c.position
    FROM unnest($1::bigint[]) AS w (batch)
    JOIN state_deltas AS d ON d.batch = w.batch
    JOIN events AS e ON e.nid = d.nid
    JOIN changes AS c ON c.batch = w.batch
   ORDER BY c.position`;

/** Values that state keys took in batches. */
export async function selectBatchState(db: Queryable, batches: readonly number[]): Promise<readonly EventRow[]> {
  if (batches.length === 0) return [];
  return await db.query<EventRow>({ name: "select-batch-state", text: SELECT_BATCH_STATE, values: [batches] });
}

/** Of a state event without a place that was learnt after `known_at` nobody knows whether it came before the departure. */
const SELECT_STATE_AT = `
  WITH valued AS (
       SELECT DISTINCT ON (v.room, v.type, v.state_key) v.nid, w.known_at
         FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS w (room, order_key, known_at)
         JOIN events AS d ON d.room = w.room AND d.order_key = w.order_key
         JOIN changes AS dc ON dc.batch = d.batch
        CROSS JOIN LATERAL (
              SELECT room, type, state_key, nid, NULL::bigint AS until FROM current_state WHERE room = w.room
              UNION ALL
              SELECT s.room, s.type, s.state_key, s.prev_nid, c.position
                FROM changes AS c
                JOIN state_deltas AS s ON s.batch = c.batch
               WHERE c.room = w.room AND c.position >= dc.position AND c.flags & ${ChangeFlag.state} <> 0) AS v
         JOIN events AS e ON e.nid = v.nid
         JOIN changes AS ec ON ec.batch = e.batch AND ec.position <= dc.position
        WHERE (e.order_key IS NULL OR e.order_key <= w.order_key)
          AND EXISTS (SELECT FROM unnest($4::int[], $5::text[], $6::text[]) AS s (room, type, state_key)
                       WHERE s.room = v.room AND coalesce(s.type, v.type) = v.type
                         AND coalesce(s.state_key, v.state_key) = v.state_key)
        ORDER BY v.room, v.type, v.state_key, v.until DESC NULLS FIRST)
  SELECT ${EVENT_COLUMNS}, c.position
    FROM valued AS v
    JOIN events AS e ON e.nid = v.nid
    JOIN changes AS c ON c.batch = e.batch
   WHERE e.order_key IS NOT NULL OR c.position <= v.known_at`;

/** State of rooms as it was at an event of the timeline, each event with the position at which it was learnt. */
export async function selectStateAt(
  db: Queryable,
  wanted: readonly ({ readonly room: RoomNid; readonly orderKey: number } & StateAtDeparture)[],
): Promise<readonly EventRow[]> {
  if (wanted.length === 0) return [];
  const selectors = wanted.flatMap(({ room, selectors: ofRoom }) => ofRoom.map((each) => ({ room, ...each })));
  const values = [
    wanted.map(({ room }) => room),
    wanted.map(({ orderKey }) => orderKey),
    wanted.map(({ knownAt }) => knownAt),
    selectors.map(({ room }) => room),
    selectors.map(({ type }) => type),
    selectors.map(({ stateKey }) => stateKey),
  ];
  return await db.query<EventRow>({ name: "select-state-at", text: SELECT_STATE_AT, values });
}

const SELECT_HEROES = `
  SELECT room, coalesce(heroes, '{}') AS heroes FROM memberships WHERE user_nid = $1 AND room = ANY($2::int[])`;

/** Heroes of rooms of a reader, as the homeserver last told them. */
export async function selectHeroes(
  db: Queryable,
  userNid: UserNid,
  rooms: readonly RoomNid[],
): Promise<ReadonlyMap<RoomNid, readonly UserId[]>> {
  if (rooms.length === 0) return new Map();
  const rows = await db.query<{ room: number; heroes: UserId[] }>({
    name: "select-heroes",
    text: SELECT_HEROES,
    values: [userNid, rooms],
  });
  return new Map(rows.map(({ room, heroes }) => [room as RoomNid, heroes]));
}

const SELECT_MOVED = `
  SELECT c.position
    FROM memberships AS m
    JOIN changes AS c ON c.batch = m.since_batch
   WHERE m.user_nid = $1 AND m.room = ANY($2::int[]) AND c.position > $3
   ORDER BY c.position DESC
   LIMIT 1`;

/** When the reader's membership in any of the rooms last became another after `to`; undefined: in none it did. */
export async function selectMembershipMove(
  db: Queryable,
  userNid: UserNid,
  rooms: readonly RoomNid[],
  to: StreamPosition,
): Promise<StreamPosition | undefined> {
  if (rooms.length === 0) return undefined;
  const values = [userNid, rooms, to];
  const [row] = await db.query<{ position: number }>({ name: "select-moved", text: SELECT_MOVED, values });
  return row?.position as StreamPosition | undefined;
}

const SELECT_TRANSACTION_IDS = `
  SELECT t.nid, CASE WHEN t.device_nid = $1 THEN t.transaction_id END AS transaction_id
    FROM transaction_ids AS t
   WHERE t.nid = ANY($2::bigint[]) AND (t.device_nid = $1 OR t.transaction_id IS NOT NULL)`;

/**
 * Events of one user by what is known of the device that sent each: `unsigned.transaction_id` where it is this one; undefined
 * where it is not. Events of which that is not known are left out.
 */
export async function selectTransactionIds(
  db: Queryable,
  deviceNid: number,
  nids: readonly number[],
): Promise<ReadonlyMap<EventNid, string | undefined>> {
  if (nids.length === 0) return new Map();
  const rows = await db.query<{ nid: number; transaction_id: string | null }>({
    name: "select-transaction-ids",
    text: SELECT_TRANSACTION_IDS,
    values: [deviceNid, nids],
  });
  const found = new Map<EventNid, string | undefined>();
  for (const { nid, transaction_id: id } of rows) {
    if (id !== null || !found.has(nid as EventNid)) found.set(nid as EventNid, id ?? undefined);
  }
  return found;
}
