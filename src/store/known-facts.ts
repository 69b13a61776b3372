import type { ChunkNid, EventId, EventNid, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { Membership } from "../model/membership.ts";
import { type KnownEvent, type MembershipRow, stateKeyOf } from "../model/room-facts.ts";
import type { Tx } from "./database.ts";

const SELECT_KNOWN = `
  SELECT e.event_id, e.nid, e.order_key, e.chunk,
         (SELECT max(p.order_key) FROM events AS p WHERE p.room = e.room AND p.order_key < e.order_key) AS previous,
         (SELECT min(n.order_key) FROM events AS n WHERE n.room = e.room AND n.order_key > e.order_key) AS next
    FROM events AS e
   WHERE e.event_id = ANY($1::text[])`;

interface KnownRow {
  readonly event_id: string;
  readonly nid: number;
  readonly order_key: number | null;
  readonly chunk: number | null;
  readonly previous: number | null;
  readonly next: number | null;
}

/** Which of these events are stored, and where they stand. */
export async function selectKnownEvents(
  tx: Tx,
  eventIds: readonly EventId[],
): Promise<ReadonlyMap<EventId, KnownEvent>> {
  if (eventIds.length === 0) return new Map();
  const rows = await tx.query<KnownRow>({ name: "known-events", text: SELECT_KNOWN, values: [eventIds] });
  return new Map(rows.map((row) => [row.event_id as EventId, toKnown(row)]));
}

function toKnown({ nid, order_key, chunk, previous, next }: KnownRow): KnownEvent {
  const stands = order_key !== null && chunk !== null;
  return {
    nid: nid as EventNid,
    landmark: stands
      ? { orderKey: order_key, chunk: chunk as ChunkNid, previous: previous ?? undefined, next: next ?? undefined }
      : undefined,
  };
}

/** A key of current state of one room. */
export interface RoomStateKey {
  readonly room: RoomNid;
  readonly type: string;
  readonly stateKey: string;
}

const SELECT_STATE_NIDS = `
  SELECT s.room, s.type, s.state_key, s.nid
    FROM unnest($1::int[], $2::text[], $3::text[]) AS w (room, type, state_key)
    JOIN current_state AS s ON s.room = w.room AND s.type = w.type AND s.state_key = w.state_key`;

/** The events that are current for these keys, by room. */
export async function selectStateNids(
  tx: Tx,
  keys: readonly RoomStateKey[],
): Promise<ReadonlyMap<RoomNid, ReadonlyMap<string, EventNid>>> {
  const byRoom = new Map<RoomNid, Map<string, EventNid>>();
  if (keys.length === 0) return byRoom;
  const values = [keys.map((key) => key.room), keys.map((key) => key.type), keys.map((key) => key.stateKey)];
  const rows = await tx.query<{ room: number; type: string; state_key: string; nid: number }>({
    name: "state-nids",
    text: SELECT_STATE_NIDS,
    values,
  });
  for (const row of rows) {
    const state = byRoom.get(row.room as RoomNid) ?? new Map<string, EventNid>();
    byRoom.set(row.room as RoomNid, state.set(stateKeyOf(row.type, row.state_key), row.nid as EventNid));
  }
  return byRoom;
}

const SELECT_MEMBERSHIPS = `
  SELECT m.user_nid, u.user_id, m.room, m.membership, m.nid, m.heroes, m.notification_count, m.highlight_count
    FROM users AS u
    JOIN memberships AS m USING (user_nid)
   WHERE u.user_id = ANY($1::text[]) AND m.room = ANY($2::int[])`;

interface MembershipSqlRow {
  readonly user_nid: number;
  readonly user_id: string;
  readonly room: number;
  readonly membership: number;
  readonly nid: number | null;
  readonly heroes: string[] | null;
  readonly notification_count: number;
  readonly highlight_count: number;
}

/** Own memberships of those of the users whose devices use Slidecar, by room. */
export async function selectMemberships(
  tx: Tx,
  userIds: readonly string[],
  rooms: readonly RoomNid[],
): Promise<ReadonlyMap<RoomNid, ReadonlyMap<UserId, MembershipRow>>> {
  const byRoom = new Map<RoomNid, Map<UserId, MembershipRow>>();
  if (rooms.length === 0) return byRoom;
  const rows = await tx.query<MembershipSqlRow>({
    name: "memberships",
    text: SELECT_MEMBERSHIPS,
    values: [[...new Set(userIds)], rooms],
  });
  for (const row of rows) {
    const room = row.room as RoomNid;
    const memberships = byRoom.get(room) ?? new Map<UserId, MembershipRow>();
    byRoom.set(room, memberships.set(row.user_id as UserId, toMembership(row)));
  }
  return byRoom;
}

function toMembership(row: MembershipSqlRow): MembershipRow {
  return {
    userNid: row.user_nid as UserNid,
    userId: row.user_id as UserId,
    room: row.room as RoomNid,
    membership: row.membership as Membership,
    nid: (row.nid ?? undefined) as EventNid | undefined,
    heroes: row.heroes ?? [],
    notifications: row.notification_count,
    highlights: row.highlight_count,
  };
}
