import type { ChunkNid, EventId, EventNid, RoomId, RoomNid, UserId, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import {
  type KnownEvent,
  type MembershipRow,
  type Neighbour,
  type RoomEnd,
  type StateValue,
  stateKeyOf,
} from "../model/room-facts.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Tx } from "./database.ts";

/** Facts of several rooms, by room. */
export type ByRoom<Value> = ReadonlyMap<RoomNid, Value>;

// Read first, so that the planner goes into an index with them; a join tempts it to read all that the rooms or users have.
export const ANY_ROOM = "ANY(ARRAY(SELECT room FROM rooms WHERE room_id = ANY($2::text[])))";

const SELECT_KNOWN = `
  SELECT e.room, e.event_id, e.nid, e.order_key, e.chunk, c.attested_for, c.continues,
         p.order_key AS previous, p.chunk AS previous_chunk, p.continues AS previous_continues,
         n.order_key AS next, n.chunk AS next_chunk, n.continues AS next_continues
    FROM events AS e
    LEFT JOIN chunks AS c ON c.chunk = e.chunk
    LEFT JOIN LATERAL (SELECT o.order_key, o.chunk, oc.continues
                         FROM events AS o JOIN chunks AS oc USING (chunk)
                        WHERE o.room = e.room AND o.order_key < e.order_key ORDER BY o.order_key DESC LIMIT 1) AS p ON true
    LEFT JOIN LATERAL (SELECT o.order_key, o.chunk, oc.continues
                         FROM events AS o JOIN chunks AS oc USING (chunk)
                        WHERE o.room = e.room AND o.order_key > e.order_key ORDER BY o.order_key LIMIT 1) AS n ON true
   WHERE e.event_id = ANY($1::text[]) AND e.room = ${ANY_ROOM}`;

interface KnownRow {
  readonly room: number;
  readonly event_id: string;
  readonly nid: number;
  readonly order_key: number | null;
  readonly chunk: number | null;
  readonly attested_for: number | null;
  readonly continues: boolean | null;
  readonly previous: number | null;
  readonly previous_chunk: number | null;
  readonly previous_continues: boolean | null;
  readonly next: number | null;
  readonly next_chunk: number | null;
  readonly next_continues: boolean | null;
}

/** Which of these events are stored in these rooms, and where they stand. */
export async function selectKnownEvents(
  tx: Tx,
  rooms: readonly RoomId[],
  eventIds: readonly EventId[],
): Promise<ByRoom<ReadonlyMap<EventId, KnownEvent>>> {
  if (eventIds.length === 0) return new Map();
  const rows = await tx.query<KnownRow>({ name: "known-events", text: SELECT_KNOWN, values: [eventIds, rooms] });
  return grouped(rows, (row) => [row.event_id as EventId, toKnown(row)]);
}

function toKnown(row: KnownRow): KnownEvent {
  const place = neighbour(row.order_key, row.chunk, row.continues);
  return {
    nid: row.nid as EventNid,
    landmark: place && {
      ...place,
      attestedFor: (row.attested_for ?? undefined) as UserNid | undefined,
      previous: neighbour(row.previous, row.previous_chunk, row.previous_continues),
      next: neighbour(row.next, row.next_chunk, row.next_continues),
    },
  };
}

const neighbour = (orderKey: number | null, chunk: number | null, continues: boolean | null): Neighbour | undefined =>
  orderKey === null || chunk === null
    ? undefined
    : { orderKey, chunk: chunk as ChunkNid, continues: continues ?? false };

export function grouped<Row extends { readonly room: number }, Key, Value>(
  rows: readonly Row[],
  entry: (row: Row) => readonly [Key, Value],
): ByRoom<ReadonlyMap<Key, Value>> {
  const byRoom = new Map<RoomNid, Map<Key, Value>>();
  for (const row of rows) {
    const facts = byRoom.get(row.room as RoomNid) ?? new Map<Key, Value>();
    byRoom.set(row.room as RoomNid, facts.set(...entry(row)));
  }
  return byRoom;
}

/** A key of current state of one room. */
export interface RoomStateKey {
  readonly roomId: RoomId;
  readonly type: string;
  readonly stateKey: string;
}

const SELECT_STATE_VALUES = `
  SELECT s.room, s.type, s.state_key, s.nid, coalesce(c.position, 0) AS position
    FROM unnest($1::text[], $2::text[], $3::text[]) AS w (room_id, type, state_key)
   CROSS JOIN LATERAL (
         SELECT * FROM current_state AS k
          WHERE k.room = (SELECT r.room FROM rooms AS r WHERE r.room_id = w.room_id) AND k.type = w.type
            AND k.state_key = w.state_key
          LIMIT 1) AS s
    LEFT JOIN changes AS c ON c.batch = s.batch`;

interface StateRow {
  readonly room: number;
  readonly type: string;
  readonly state_key: string;
  readonly nid: number | null;
  readonly position: number;
}

/** The events that are current for these keys, by room and `stateKeyOf`. */
export async function selectStateValues(
  tx: Tx,
  keys: readonly RoomStateKey[],
): Promise<ByRoom<ReadonlyMap<string, StateValue>>> {
  if (keys.length === 0) return new Map();
  const values = [keys.map(({ roomId }) => roomId), keys.map(({ type }) => type), keys.map(({ stateKey }) => stateKey)];
  const rows = await tx.query<StateRow>({ name: "state-values", text: SELECT_STATE_VALUES, values });
  return grouped(rows, ({ type, state_key, nid, position }) => [
    stateKeyOf(type, state_key),
    { nid: (nid ?? undefined) as EventNid | undefined, position: position as StreamPosition },
  ]);
}

const SELECT_MEMBERSHIPS = `
  SELECT m.user_nid, u.user_id, m.room, m.membership, coalesce(c.position, 0) AS since, m.since_order_key, m.nid, m.stripped, m.heroes,
         m.notification_count, m.highlight_count
    FROM users AS u
    JOIN memberships AS m USING (user_nid)
    LEFT JOIN changes AS c ON c.batch = m.since_batch
   WHERE u.user_id = ANY($1::text[]) AND m.room = ${ANY_ROOM}`;

interface MembershipSqlRow {
  readonly user_nid: number;
  readonly user_id: string;
  readonly room: number;
  readonly membership: number;
  readonly since: number;
  readonly since_order_key: number | null;
  readonly nid: number | null;
  readonly stripped: Buffer | null;
  readonly heroes: string[] | null;
  readonly notification_count: number;
  readonly highlight_count: number;
}

/** Own memberships of those of the users whose devices use Slidecar, by room. */
export async function selectMemberships(
  tx: Tx,
  userIds: readonly string[],
  rooms: readonly RoomId[],
): Promise<ByRoom<ReadonlyMap<UserId, MembershipRow>>> {
  if (rooms.length === 0) return new Map();
  const rows = await tx.query<MembershipSqlRow>({
    name: "memberships",
    text: SELECT_MEMBERSHIPS,
    values: [userIds, rooms],
  });
  return grouped(rows, (row) => [row.user_id as UserId, toMembership(row)]);
}

function toMembership(row: MembershipSqlRow): MembershipRow {
  return {
    userNid: row.user_nid as UserNid,
    userId: row.user_id as UserId,
    room: row.room as RoomNid,
    membership: row.membership as Membership,
    since: row.since as StreamPosition,
    sinceOrderKey: row.since_order_key ?? undefined,
    nid: (row.nid ?? undefined) as EventNid | undefined,
    stripped: row.stripped ?? undefined,
    heroes: row.heroes ?? [],
    notifications: row.notification_count,
    highlights: row.highlight_count,
  };
}

// The position is read by itself for each room: a join tempts the planner to read all events.
const SELECT_ROOM_ENDS = `
  SELECT r.room, c.attested_for, c.continues, t.chunk AS event_chunk, t.sender, t.position AS stored_at,
         coalesce(a.position, r.activity_us) AS activity, coalesce(b.position, r.bump_us) AS bump,
         coalesce(f.is_followed, false) AS is_followed
    FROM rooms AS r
    LEFT JOIN chunks AS c ON c.chunk = r.last_chunk
    LEFT JOIN changes AS a ON a.batch = r.activity_batch
    LEFT JOIN changes AS b ON b.batch = r.bump_batch
    LEFT JOIN LATERAL (SELECT e.chunk, CASE WHEN e.state_key IS NULL THEN e.sender END AS sender, p.position
                         FROM events AS e JOIN changes AS p USING (batch)
                        WHERE e.room = r.room AND e.order_key = r.last_order_key LIMIT 1) AS t ON true
    LEFT JOIN LATERAL (SELECT true AS is_followed
                         FROM memberships AS m
                        WHERE m.room = r.room AND m.membership = ${Membership.join} LIMIT 1) AS f ON true
   WHERE r.room_id = ANY($1::text[])`;

interface EndRow {
  readonly room: number;
  readonly attested_for: number | null;
  readonly continues: boolean | null;
  readonly event_chunk: number | null;
  readonly sender: string | null;
  readonly stored_at: number | null;
  readonly is_followed: boolean;
  readonly activity: number;
  readonly bump: number;
  readonly position: number | null;
}

/** What stands at the end of locked rooms. Not part of the statement that locks them, which sees others as it began. */
export async function selectRoomEnds(tx: Tx, rooms: readonly RoomId[]): Promise<ByRoom<RoomEnd>> {
  if (rooms.length === 0) return new Map();
  const rows = await tx.query<EndRow>({ name: "room-ends", text: SELECT_ROOM_ENDS, values: [rooms] });
  return new Map(
    rows.map((row) => [
      row.room as RoomNid,
      {
        chunk: (row.event_chunk ?? undefined) as ChunkNid | undefined,
        sender: row.sender ?? undefined,
        attestedFor: (row.attested_for ?? undefined) as UserNid | undefined,
        continues: row.continues ?? false,
        storedAt: (row.stored_at ?? undefined) as StreamPosition | undefined,
        activity: row.activity,
        bump: row.bump,
        isFollowed: row.is_followed,
      },
    ]),
  );
}
