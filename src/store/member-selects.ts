import type { RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { Queryable } from "./database.ts";
import { EVENT_COLUMNS, type EventRow } from "./event-rows.ts";

const SELECT_MEMBERS = `
  SELECT ${EVENT_COLUMNS}, c.position
    FROM unnest($1::int[], $2::text[]) AS w (room, user_id)
    JOIN current_state AS s ON s.room = w.room AND s.type = 'm.room.member' AND s.state_key = w.user_id
    JOIN events AS e ON e.nid = s.nid
    JOIN changes AS c ON c.batch = s.batch`;

/** Current member events of single users. */
export async function selectMembers(
  db: Queryable,
  wanted: readonly { readonly room: RoomNid; readonly userId: UserId }[],
): Promise<readonly EventRow[]> {
  if (wanted.length === 0) return [];
  const values = [wanted.map(({ room }) => room), wanted.map(({ userId }) => userId)];
  return await db.query<EventRow>({ name: "select-members", text: SELECT_MEMBERS, values });
}

const SELECT_ALL_MEMBERS = `
  SELECT ${EVENT_COLUMNS}, c.position
    FROM current_state AS s
    JOIN events AS e ON e.nid = s.nid
    JOIN changes AS c ON c.batch = s.batch
   WHERE s.room = ANY($1::int[]) AND s.type = 'm.room.member'`;

/** Every current member event of rooms. */
export async function selectAllMembers(db: Queryable, rooms: readonly RoomNid[]): Promise<readonly EventRow[]> {
  if (rooms.length === 0) return [];
  return await db.query<EventRow>({ name: "select-all-members", text: SELECT_ALL_MEMBERS, values: [rooms] });
}

const SELECT_NAMED_MEMBERS = `
  SELECT ${EVENT_COLUMNS}, c.position
    FROM (SELECT w.room, named.user_id
            FROM unnest($1::int[], $2::int[]) AS w (room, count)
           CROSS JOIN LATERAL (
                 SELECT t.sender, CASE WHEN t.type = 'm.room.member' THEN t.state_key END AS target
                   FROM events AS t
                  WHERE t.room = w.room AND t.order_key IS NOT NULL
                  ORDER BY t.order_key DESC
                  LIMIT w.count) AS t
           CROSS JOIN LATERAL (VALUES (t.sender), (t.target)) AS named (user_id)
           UNION
          SELECT * FROM unnest($3::int[], $4::text[])) AS w
    JOIN current_state AS s ON s.room = w.room AND s.type = 'm.room.member' AND s.state_key = w.user_id
    JOIN events AS e ON e.nid = s.nid
    JOIN changes AS c ON c.batch = s.batch`;

/** Current member events of whom the newest events of rooms name as senders and targets, and of single users. */
export async function selectNamedMembers(
  db: Queryable,
  tails: readonly { readonly room: RoomNid; readonly count: number }[],
  others: readonly { readonly room: RoomNid; readonly userId: UserId }[],
): Promise<readonly EventRow[]> {
  const values = [
    tails.map(({ room }) => room),
    tails.map(({ count }) => count),
    others.map(({ room }) => room),
    others.map(({ userId }) => userId),
  ];
  return await db.query<EventRow>({ name: "select-named-members", text: SELECT_NAMED_MEMBERS, values });
}

const SELECT_OWN_MEMBERS = `
  SELECT ${EVENT_COLUMNS}, c.position
    FROM memberships AS m
    JOIN events AS e ON e.nid = m.nid
    JOIN changes AS c ON c.batch = m.batch
   WHERE m.user_nid = $1 AND m.room = ANY($2::int[])`;

/** The member event that a reader's membership in each room comes from; after a departure, that of the departure. */
export async function selectOwnMembers(
  db: Queryable,
  userNid: UserNid,
  rooms: readonly RoomNid[],
): Promise<readonly EventRow[]> {
  if (rooms.length === 0) return [];
  return await db.query<EventRow>({ name: "select-own-members", text: SELECT_OWN_MEMBERS, values: [userNid, rooms] });
}
