// In what the store is not what the scripted homeserver says.
import { Membership } from "../../../src/model/membership.ts";
import { ORDER_KEY_STEP } from "../../../src/model/room-facts.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import type { Database } from "../../../src/store/database.ts";
import type { StoredEvent } from "../homeserver/event.ts";
import type { Room } from "../homeserver/room.ts";
import type { User } from "../homeserver/user.ts";
import { shownTo } from "../homeserver/visibility.ts";
import type { World } from "../homeserver/world.ts";

/** Differences, one line each; empty: none. */
export async function truthDifferences(db: Database, world: World, readers: readonly User[]): Promise<string[]> {
  const perRoom = [...world.rooms.values()].map((room) => {
    const joined = readers.filter(({ userId }) => room.membership(userId) === "join");
    return joined.length === 0 ? [] : roomDifferences(db, world, room, joined);
  });
  const perReader = readers.flatMap((user) => [
    personalDifferences(db, world, user),
    ...[...world.rooms.values()].map((room) => leaks(db, world, room, user)),
  ]);
  return (await Promise.all([...perRoom, ...perReader])).flat();
}

async function roomDifferences(db: Database, world: World, room: Room, joined: readonly User[]): Promise<string[]> {
  return [
    ...(await stateDifferences(db, room)),
    ...(await receiptDifferences(db, room, joined)),
    ...(await Promise.all(joined.map((reader) => timelineDifferences(db, world, room, reader)))).flat(),
  ];
}

interface StateRow {
  readonly type: string;
  readonly state_key: string;
  readonly event_id: string;
}

async function stateDifferences(db: Database, room: Room): Promise<string[]> {
  const rows = await db.query<StateRow>({
    text: `SELECT s.type, s.state_key, e.event_id FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid)
            WHERE r.room_id = $1`,
    values: [room.id],
  });
  const stored = new Map(rows.map((row) => [`${row.type}\0${row.state_key}`, row.event_id]));
  const truth = new Map([...room.fullStateAt(Number.POSITIVE_INFINITY)].map(([key, { eventId }]) => [key, eventId]));
  // After a hole legacy state lacks members that changed meanwhile. The store knows, and keeps that it has to compare them.
  const suspicions = await db.query({
    text: "SELECT FROM contests WHERE body::json ->> 'kind' = 'room-state' AND body::json ->> 'roomId' = $1",
    values: [room.id],
  });
  return [...new Set([...stored.keys(), ...truth.keys()])].flatMap((key) => {
    // Members are lazy: those are known that somebody needed.
    if (key.startsWith("m.room.member\0") && (!stored.has(key) || suspicions.length > 0)) return [];
    return unequal(`${key.replace("\0", " ")} of ${room.id}`, truth.get(key), stored.get(key));
  });
}

interface TimelineRow {
  readonly event_id: string;
  readonly chunk: number;
  readonly continues: boolean;
  readonly attested_for: string | null;
  /** A hole after the last event begins a chunk that has no event yet. */
  readonly last_chunk: number;
}

/**
 * Neighbours of a chunk that the reader may rely on stand in the homeserver's order, and nothing that the reader may see
 * is missing between them, or after the last one. An event that came late stands elsewhere for who asks anew.
 */
async function timelineDifferences(db: Database, world: World, room: Room, reader: User): Promise<string[]> {
  const rows = await db.query<TimelineRow>({
    text: `SELECT e.event_id, e.chunk, c.continues, u.user_id AS attested_for, r.last_chunk
             FROM events e JOIN rooms r USING (room) JOIN chunks c ON c.chunk = e.chunk
             LEFT JOIN users u ON u.user_nid = c.attested_for
            WHERE r.room_id = $1 AND e.order_key IS NOT NULL ORDER BY e.order_key`,
    values: [room.id],
  });
  const ids = new Set(rows.map((row) => row.event_id));
  const seen = shownTo(room, room.timeline, { user: reader }).map(({ event }) => event);
  const isBefore = (a: StoredEvent, b: StoredEvent) => a.stream < b.stream && a.depth <= b.depth;
  // Where a late event stands differs between the homeserver's own answers: streams have it last, first syncs by its depth.
  const isLate = (event: StoredEvent) =>
    room.timeline.some((each) => each.stream < event.stream && each.depth >= event.depth);
  const isMisplaced = (event: StoredEvent, after: StoredEvent) =>
    isBefore(after, event) && !isLate(event) && !isLate(after);
  // Of late events and those beside them, who asks anew is shown others.
  const newest = seen.findLast((event) => seen.every((each) => each === event || isBefore(each, event)));
  const last = rows.at(-1);
  // Where a page holds only whom a user ignores, they are told of a hole at the end.
  const isEndTold = reader.hasIgnored.size > 0 && last?.last_chunk !== last?.chunk;
  const isEndStored = newest === undefined || ids.has(newest.eventId) || isEndTold;
  const atEnd = isEndStored ? [] : [`${named(newest)} is not in ${room.id} for ${reader.userId}`];
  const between = rows.flatMap((row, index) => {
    const next = rows[index + 1];
    const [event, after] = [world.events.get(row.event_id), next && world.events.get(next.event_id)];
    if (event?.roomId !== room.id) return [`${row.event_id} is not of ${room.id}`];
    const chunk = next ?? row;
    if (chunk.attested_for !== null && chunk.attested_for !== reader.userId) return [];
    if (next === undefined ? row.last_chunk !== row.chunk : next.chunk !== row.chunk && !next.continues) return [];
    const where = `between ${named(event)} and ${after === undefined ? "the end" : named(after)} of ${room.id} for ${reader.userId}`;
    const missing = seen.filter(
      (each) =>
        isBefore(event, each) &&
        (after === undefined || isBefore(each, after)) &&
        !ids.has(each.eventId) &&
        !isHiddenAsLate(world, room, each),
    );
    return [
      ...(after !== undefined && isMisplaced(event, after) ? [`wrong order ${where}`] : []),
      ...missing.map((each) => `${named(each)} is missing ${where}`),
    ];
  });
  return [...atEnd, ...between];
}

/**
 * Somebody who is in the room is not shown what came late, since who sent it knew of no arrival or of a stricter visibility. Their
 * stream attests for all that it is not there.
 */
const isHiddenAsLate = (world: World, room: Room, event: StoredEvent): boolean =>
  room.joinedMembers().some((userId) => {
    const user = world.users.get(userId);
    const isShown = (each: StoredEvent) => user === undefined || shownTo(room, [each], { user }).length > 0;
    // A copy is judged by when it arrived.
    return !isShown(event) && isShown({ ...event });
  });

interface VisibleRow {
  readonly event_id: string;
  readonly order_key: number;
  readonly visibility: number;
  readonly membership: number;
  readonly since_order_key: number | null;
}

/** Events that the store has for theirs to see whom the homeserver does not show them. */
async function leaks(db: Database, world: World, room: Room, reader: User): Promise<string[]> {
  if (isOutBesideGap(room, reader)) return [];
  const rows = await db.query<VisibleRow>({
    text: `SELECT e.event_id, e.order_key, e.visibility, m.membership, m.since_order_key
             FROM memberships m JOIN users u USING (user_nid) JOIN rooms r USING (room) JOIN events e USING (room)
            WHERE u.user_id = $1 AND r.room_id = $2 AND e.order_key IS NOT NULL AND m.membership NOT IN (2, 3)`,
    values: [reader.userId, room.id],
  });
  const own = room.timeline.filter(({ type, stateKey }) => type === "m.room.member" && stateKey === reader.userId);
  const isOut = ({ membership }: VisibleRow) => membership !== Membership.join;
  return rows.flatMap((row) => {
    const { order_key: orderKey, since_order_key: since } = row;
    const isOpen = row.visibility === Visibility.shared || row.visibility === Visibility.worldReadable;
    const isTheirs = isOut(row)
      ? since !== null && (orderKey === since || (orderKey < since && isOpen))
      : isOpen || orderKey >= (since ?? ORDER_KEY_STEP);
    const event = world.events.get(row.event_id);
    if (!isTheirs || event === undefined) return [];
    // Streams do not say what somebody elsewhere knew who sent what came late: a copy is judged by when it arrived.
    if ([event, { ...event }].some((each) => shownTo(room, [each], { user: reader }).length > 0)) return [];
    // Who is ignored is left out when an answer is read, and everybody is told how they came to be out.
    if (event.stateKey === undefined ? reader.ignored.has(event.sender) : own.includes(event)) return [];
    const left = isOut(row) && `, who left at ${own.at(-1)?.stream}`;
    return [`${named(event)} of ${room.id} is theirs to see for ${reader.userId}${left || ""}`];
  });
}

/** Of a departure that a gap follows Synapse's stream does not tell; the comparison of joined rooms does, which is not here. */
function hidesDeparture(room: Room, user: User): boolean {
  const own = user.memberships.get(room.id);
  return isOutBesideGap(room, user) && own !== undefined && room.gaps.some((gap) => gap >= own.event.stream);
}

/** Out of a room with gaps: after one Synapse shows in the first sync of who left what has become current since. */
const isOutBesideGap = (room: Room, user: User): boolean =>
  room.gaps.length > 0 && ["leave", "ban"].includes(user.memberships.get(room.id)?.membership ?? "");

const named = ({ type, stateKey = "", content, stream }: StoredEvent): string =>
  `${stream} ${type} ${stateKey} ${JSON.stringify(content.body ?? content.membership ?? "")}`;

async function receiptDifferences(db: Database, room: Room, joined: readonly User[]): Promise<string[]> {
  const rows = await db.query<{ user_id: string; receipt_type: string; thread_id: string; event_id: string }>({
    text: `SELECT user_id, receipt_type, thread_id, event_id FROM receipts JOIN rooms USING (room) WHERE room_id = $1`,
    values: [room.id],
  });
  const nameOf = (...parts: readonly string[]) => parts.join(" ");
  const stored = new Map(rows.map((row) => [nameOf(row.user_id, row.receipt_type, row.thread_id), row.event_id]));
  return [...room.receipts.values()].flatMap((receipt) => {
    const hears = (user: User) =>
      (receipt.type === "m.read" || receipt.userId === user.userId) && isInSince(user, room.id, receipt.ts);
    if (!joined.some(hears)) return [];
    const name = nameOf(receipt.userId, receipt.type, receipt.threadId ?? "");
    return unequal(`receipt ${name} in ${room.id}`, receipt.eventId, stored.get(name));
  });
}

/** Of what happened before a user came in, the homeserver does not tell. */
const isInSince = (user: User, roomId: string, ts: number): boolean =>
  user.isJoined(roomId) && user.membershipEvents.every((own) => own.roomId !== roomId || own.originServerTs < ts);

async function personalDifferences(db: Database, world: World, user: User): Promise<string[]> {
  const values = [user.userId];
  const memberships = await db.query<{ room_id: string; membership: number }>({
    text: `SELECT room_id, membership FROM memberships JOIN rooms USING (room) JOIN users USING (user_nid) WHERE user_id = $1`,
    values,
  });
  const data = await db.query<{ room_id: string | null; type: string; content: unknown }>({
    text: `SELECT r.room_id, a.type, convert_from(a.body, 'UTF8')::json -> 'content' AS content
             FROM account_data a JOIN users USING (user_nid) LEFT JOIN rooms r USING (room) WHERE user_id = $1`,
    values,
  });
  const ofRoom = new Map(memberships.map((row) => [row.room_id, row.membership]));
  const dataOf = (roomId: string | null, type: string) =>
    data.find((row) => row.room_id === roomId && row.type === type)?.content;
  return [
    ...[...world.rooms.values()].flatMap((room) => {
      const own = user.memberships.get(room.id);
      const stored = ofRoom.get(room.id);
      // Of a room that a user left before their first sync, and of invites of users whom they ignored then, they are not told.
      const isIgnored = own?.membership === "invite" && user.hasIgnored.has(own.event.sender);
      if (stored === undefined && (own === undefined || own.membership === "leave")) return [];
      if (isIgnored && stored !== Membership.join) return [];
      if (hidesDeparture(room, user)) return [];
      return unequal(`membership of ${user.userId} in ${room.id}`, own && Membership[own.membership], stored);
    }),
    ...[...user.accountData].flatMap(([type, { content }]) =>
      unequal(`${type} of ${user.userId}`, content, dataOf(null, type)),
    ),
    ...[...user.roomAccountData].flatMap(([roomId, entries]) =>
      [...entries].flatMap(([type, { content }]) =>
        isInSince(user, roomId, Number(content.ts))
          ? unequal(`${type} of ${user.userId} in ${roomId}`, content, dataOf(roomId, type))
          : [],
      ),
    ),
  ];
}

const unequal = (what: string, wanted: unknown, found: unknown): string[] =>
  JSON.stringify(wanted) === JSON.stringify(found)
    ? []
    : [`${what}: ${JSON.stringify(wanted)} is ${JSON.stringify(found)}`];
