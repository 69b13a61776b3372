// What the store holds of one device's stream, and how it differs from what the homeserver says.
import { Membership } from "../../../src/model/membership.ts";
import type { EncryptionClient } from "./encryption-client.ts";
import type { HomeserverRelay } from "./homeserver-relay.ts";
import type { StoppableDatabase } from "./stoppable-database.ts";
import type { Traffic } from "./traffic.ts";
import { acceptedOf, COMPARED_EVENTS, type Truth } from "./truth.ts";
import { unequal } from "./unequal.ts";

export interface Comparison {
  readonly database: StoppableDatabase;
  readonly relay: HomeserverRelay;
  readonly device: { readonly userId: string; readonly deviceId: string; readonly token: string };
  readonly traffic: Pick<Traffic, "sent" | "visited">;
  /** Who removes to-device messages by having them; without it all stay. */
  readonly encryption?: Pick<EncryptionClient, "acknowledged">;
}

interface DeviceRow {
  readonly device_nid: number;
  readonly user_nid: number;
  readonly since: string | null;
}

/** In what the store is not what the homeserver says; empty: in nothing. */
export async function storedDifferences(truth: Truth, compared: Comparison): Promise<string[]> {
  const { database, device } = compared;
  const [row] = await database.query<DeviceRow>(
    "SELECT device_nid, user_nid, since FROM devices JOIN users USING (user_nid) WHERE user_id = $1 AND device_id = $2",
    [device.userId, device.deviceId],
  );
  if (row?.since == null) return ["the stream has not begun"];
  return [
    ...(await streamDifferences(row, row.since, compared)),
    ...(await roomDifferences(truth, compared)),
    ...(await stateDifferences(truth, compared)),
    ...(await personalDifferences(truth, row.user_nid, compared)),
    ...(await membershipDifferences(truth, row.user_nid, compared)),
    ...(await brokenRules(compared)),
  ];
}

/** To-device messages and device lists: what the accepted responses said, once and in order. */
async function streamDifferences(
  { device_nid: deviceNid }: DeviceRow,
  since: string,
  { database, relay, device, traffic, encryption }: Comparison,
): Promise<string[]> {
  const accepted = acceptedOf(relay, device.token, since);
  const messages = await database.query<{ content: unknown; is_last: boolean }>(
    `SELECT convert_from(body, 'UTF8')::json -> 'content' AS content,
            sequence = (SELECT sequence FROM to_device_heads WHERE device_nid = $1) AS is_last
       FROM to_device_messages WHERE device_nid = $1 ORDER BY sequence`,
    [deviceNid],
  );
  const lists = await database.query<{ changed: string[]; left: string[] }>(
    `SELECT array_agg(user_id ORDER BY user_id) FILTER (WHERE NOT has_left) AS changed,
            array_agg(user_id ORDER BY user_id) FILTER (WHERE has_left) AS left
       FROM device_list_log JOIN changes USING (batch, device_nid) WHERE device_nid = $1
      GROUP BY position ORDER BY position`,
    [deviceNid],
  );
  const wantedLists = accepted
    .filter(({ changed, left }) => changed.length + left.length > 0)
    .map(({ changed, left }) => ({
      changed: sortedOrNull(changed),
      left: sortedOrNull(left.filter((user) => !changed.includes(user))),
    }));
  const stored = messages.map(({ content }) => content);
  const numbers = Array.from({ length: traffic.sent }, (_, index) => ({ n: index + 1 }));
  const keptCount = Math.max(stored.length, traffic.sent - (encryption?.acknowledged ?? 0));
  return [
    ...unequal(
      "to-device messages of the responses against what was sent",
      numbers,
      accepted.flatMap(({ toDevice }) => toDevice),
    ),
    // The oldest ones go, once they are acknowledged.
    ...unequal("to-device messages", numbers.slice(traffic.sent - keptCount), stored),
    ...unequal(
      "the highest sequence",
      stored.slice(-1).map(() => true),
      messages.slice(-1).map(({ is_last: isLast }) => isLast),
    ),
    ...unequal("device lists", wantedLists, lists),
  ];
}

const sortedOrNull = (users: readonly string[]) => (users.length === 0 ? null : [...users].sort());

async function roomDifferences(truth: Truth, { database }: Comparison): Promise<string[]> {
  const rows = await database.query<{ room_id: string; ids: string[]; joined_count: number | null }>(
    `SELECT r.room_id, r.joined_count,
            ARRAY(SELECT e.event_id FROM events AS e WHERE e.room = r.room AND e.order_key IS NOT NULL
                   ORDER BY e.order_key DESC LIMIT ${COMPARED_EVENTS}) AS ids
       FROM rooms AS r`,
  );
  const stored = new Map(rows.map((row) => [row.room_id, row]));
  return [...truth.rooms].flatMap(([roomId, room]) => {
    const { ids = [], joined_count: joinedCount } = stored.get(roomId) ?? {};
    const newest = ids.slice(0, room.timeline.length).reverse();
    return [
      ...unequal(`the timeline of ${roomId}`, room.timeline, newest),
      ...unequal(`members of ${roomId}`, room.joinedCount, joinedCount),
    ];
  });
}

async function stateDifferences(truth: Truth, { database }: Comparison): Promise<string[]> {
  const rows = await database.query<{ room_id: string; type: string; state_key: string; event_id: string }>(
    `SELECT r.room_id, s.type, s.state_key, e.event_id
       FROM current_state AS s JOIN rooms AS r USING (room) JOIN events AS e USING (nid)`,
  );
  const byRoom = Map.groupBy(rows, (row) => row.room_id);
  return [...truth.rooms].flatMap(([roomId, { state }]) => {
    const stored = new Map((byRoom.get(roomId) ?? []).map((row) => [`${row.type}\0${row.state_key}`, row.event_id]));
    // Of members those are known that had to be.
    const wanted = [...state].filter(([key]) => !key.startsWith("m.room.member") || stored.has(key));
    return unequal(`the state of ${roomId}`, sorted(wanted), sorted(stored));
  });
}

async function personalDifferences(truth: Truth, userNid: number, { database }: Comparison): Promise<string[]> {
  const accountData = await database.query<{ room_id: string | null; type: string; content: unknown }>(
    `SELECT r.room_id, a.type, convert_from(a.body, 'UTF8')::json -> 'content' AS content
       FROM account_data AS a LEFT JOIN rooms AS r USING (room) WHERE a.user_nid = $1`,
    [userNid],
  );
  const receipts = await database.query<{ room_id: string; name: string; event_id: string }>(
    `SELECT r.room_id, concat_ws(' ', user_id, receipt_type, thread_id) AS name, event_id
       FROM receipts JOIN rooms AS r USING (room)`,
  );
  const dataOf = (roomId: string | null) =>
    accountData
      .filter((row) => row.room_id === roomId)
      .map(({ type, content }) => [type, JSON.stringify(content)] as const)
      // A homeserver says of a room without tags nothing to who asks for the first time.
      .filter(([, content]) => content !== '{"tags":{}}');
  return [
    ...unequal("account data", sorted(truth.accountData), sorted(dataOf(null))),
    ...[...truth.rooms].flatMap(([roomId, room]) => [
      ...unequal(`account data of ${roomId}`, sorted(room.accountData), sorted(dataOf(roomId))),
      ...unequal(
        `receipts of ${roomId}`,
        sorted(room.receipts),
        sorted(receipts.filter((row) => row.room_id === roomId).map((row) => [row.name, row.event_id] as const)),
      ),
    ]),
  ];
}

async function membershipDifferences(truth: Truth, userNid: number, compared: Comparison): Promise<string[]> {
  const rows = await compared.database.query<{ room_id: string; membership: number; notification_count: number }>(
    "SELECT room_id, membership, notification_count FROM memberships JOIN rooms USING (room) WHERE user_nid = $1",
    [userNid],
  );
  const { roomId, membership } = compared.traffic.visited;
  const visit = membership === "none" ? undefined : Membership[membership];
  const roomsOf = (wanted: number) => rows.filter((row) => row.membership === wanted).map((row) => row.room_id);
  return [
    ...unequal("joined rooms", [...truth.rooms.keys()].sort(), roomsOf(Membership.join).sort()),
    ...unequal("invites", truth.invites, roomsOf(Membership.invite).length),
    ...unequal(`the visit of ${roomId}`, visit, rows.find((row) => row.room_id === roomId)?.membership),
    ...rows
      .filter((row) => row.membership === Membership.join)
      .flatMap((row) =>
        unequal(
          `unread messages of ${row.room_id}`,
          truth.rooms.get(row.room_id)?.notificationCount,
          row.notification_count,
        ),
      ),
  ];
}

const BATCHED = ["events", "state_deltas", "account_data", "receipts", "to_device_messages", "device_list_log"];

/** What must hold whatever was sent. */
async function brokenRules({ database }: Comparison): Promise<string[]> {
  const without = BATCHED.map(
    (table) =>
      `SELECT '${table}' AS name FROM ${table} AS t WHERE NOT EXISTS (SELECT FROM changes WHERE batch = t.batch)`,
  ).join(" UNION ALL ");
  const [broken] = await database.query<{ without: string[]; unchained: string[]; torn: string[] }>(
    `SELECT ARRAY(${without}) AS without,
            ARRAY(SELECT concat_ws(' ', room, type, state_key) FROM (
                    SELECT *, lag(nid) OVER (PARTITION BY room, type, state_key ORDER BY c.position) AS before
                      FROM state_deltas JOIN (SELECT batch, position FROM changes) AS c USING (batch)) AS d
                   WHERE before IS NOT NULL AND before IS DISTINCT FROM prev_nid) AS unchained,
            ARRAY(SELECT r.room_id FROM chunks JOIN rooms AS r USING (room)
                  GROUP BY r.room_id
                  HAVING count(*) FILTER (WHERE NOT continues AND NOT is_start) > 1) AS torn`,
  );
  return [
    ...unequal("rows whose batch has no position", [], broken?.without),
    ...unequal("state that does not go on from what was before", [], broken?.unchained),
    ...unequal("rooms with a hole", [], broken?.torn),
  ];
}

const sorted = (entries: Iterable<readonly [string, string]>) => [...entries].sort(([a], [b]) => (a < b ? -1 : 1));
