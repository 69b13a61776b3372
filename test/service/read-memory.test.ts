import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import { ChangeStream } from "../../src/model/change.ts";
import type { RoomNid, UserId, UserNid } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import type { MemoryOptions } from "../../src/store/memory.ts";
import type { OnlineReader } from "../../src/store/online-readers.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { type ReadProcess, startReadProcess } from "../support/read-process.ts";
import { StoredWorld, type StreamUser, timeline, type WireEvent } from "../support/stored-world.ts";
import { until } from "../support/until.ts";
import { type WatchedDatabase, watched } from "../support/watched-database.ts";

let db: TestDatabase;
let readDb: WatchedDatabase;
let own: ReadProcess;
let world: StoredWorld;
let alice: StreamUser;
const bob = "@bob:test" as UserId;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

let worlds = 0;
beforeEach(async () => {
  readDb = watched(db);
  own = await startReadProcess(readDb);
  world = new StoredWorld(db, { name: `world${worlds++}` });
  alice = await world.user("alice");
});

afterEach(async () => {
  await own[Symbol.asyncDispose]();
});

/** The same process anew, with other budgets. */
async function restart(options: Partial<MemoryOptions> & { clock?: { nowMs(): number } }): Promise<void> {
  await own[Symbol.asyncDispose]();
  own = await startReadProcess(readDb, options);
}

/** Stores that the user joined a new room. */
async function join(user = alice, more: readonly WireEvent[] = []): Promise<string> {
  const roomId = world.roomId();
  await world.store(user, { join: { [roomId]: world.newRoom([user.userId, bob], more) } });
  return roomId;
}

const send = (roomId: string, ...events: readonly WireEvent[]) =>
  world.store(alice, { join: { [roomId]: timeline(...events) } });

const nid = (roomId: string) => own.memory.columns.find(roomId as never)!;
const online = ({ userNid, userId }: StreamUser) => own.memory.readers.get(userNid, userId);
const roomsOf = ({ rooms }: OnlineReader) => [...rooms.rooms()].map((room) => own.memory.columns.roomId(room));

const roomChange = (room: RoomNid) => ({
  position: own.follower.position,
  batch: 0,
  stream: ChangeStream.room,
  room,
  rooms: undefined,
  userNid: undefined,
  deviceNid: undefined,
  flags: 0,
  receivedUs: undefined,
});
const isWokenBy = (user: StreamUser, roomId: string) =>
  own.memory.readers.concernedBy([roomChange(nid(roomId))]).has(user.userNid);

test("a reader's rooms are all there, in order of their numbers", async () => {
  const rooms = [await join(), await join(), await join()];
  await own.caughtUp();
  const reader = await online(alice);
  expect(roomsOf(reader)).toEqual(rooms);
  expect(reader.rooms.membership(0)).toBe(Membership.join);
});

test("a room that an invite is known of stands where the invite was sent, however the reader is read", async () => {
  const [roomId, other] = [world.roomId(), world.roomId()];
  const inviteOf = (ts: number, text: string) => {
    const member = { type: "m.room.member", state_key: alice.userId, sender: bob, content: { membership: "invite" } };
    const name = { type: "m.room.name", state_key: "", sender: bob, content: { name: text } };
    return { invite_state: { events: [name, { ...member, origin_server_ts: ts }] } };
  };
  const activities = async () => {
    const { rooms } = await online(alice);
    return [roomId, other].map((id) => rooms.activityOutside(rooms.indexOf(nid(id))));
  };
  await online(alice);
  await world.store(alice, { invite: { [roomId]: inviteOf(5_000, "a") } }, { isCatchUp: true });
  await world.store(alice, { invite: { [other]: inviteOf(6_000, "a") } });
  await own.caughtUp();
  const [sent, came] = await activities();
  expect([sent, Number(came) > 6_000_000]).toEqual([5_000_000, true]);
  // What an invite shows may change; it stays where it is.
  await world.store(alice, { invite: { [roomId]: inviteOf(7_000, "b"), [other]: inviteOf(7_000, "b") } });
  await own.caughtUp();
  expect(await activities()).toEqual([sent, came]);
  await restart({});
  expect(await activities()).toEqual([sent, came]);
});

test("a user of whom nothing is stored has no rooms, and is woken by the first", async () => {
  const reader = await online(alice);
  expect(reader.rooms.size).toBe(0);
  const roomId = await join();
  await own.caughtUp();
  expect(roomsOf(reader)).toEqual([roomId]);
  expect(isWokenBy(alice, roomId)).toBe(true);
});

test("a room that comes while a reader is read is not missed, and wakes from then on", async () => {
  await join();
  await own.caughtUp();
  const isRead = readDb.hold("reader-rooms");
  const reading = online(alice);
  const letGo = await isRead;
  const late = await join();
  await own.caughtUp();
  expect(isWokenBy(alice, late)).toBe(true);
  letGo();
  expect(roomsOf(await reading)).toContain(late);
  expect(isWokenBy(alice, late)).toBe(true);
});

test("a room that comes into a space while that is read is not missed, and two who want the space read it once", async () => {
  const [space, first, second] = [await join(), await join(), await join()];
  const child = (roomId: string) => world.state("m.space.child", bob, { via: ["test"] }, roomId);
  await send(space, child(first));
  await own.caughtUp();
  const { spaces } = own.memory;
  const isRead = readDb.hold("space-children");
  const reading = Promise.all([spaces.load([nid(space)]), spaces.load([nid(space)])]);
  const letGo = await isRead;
  await send(space, child(second));
  await own.caughtUp();
  readDb.asked();
  letGo();
  await reading;
  expect(spaces.of(nid(space))).toEqual(new Set([first, second]));
  expect(readDb.asked()).toEqual(["space-children"]);
});

test("while a reader is read, any room may be news to them", async () => {
  const roomId = await join();
  await own.caughtUp();
  const isRead = readDb.hold("reader-rooms");
  const reading = online(alice);
  const letGo = await isRead;
  expect(isWokenBy(alice, roomId)).toBe(true);
  letGo();
  await reading;
});

test("requests of one user at the same time read the rooms once", async () => {
  await join();
  await own.caughtUp();
  readDb.asked();
  const [one, other] = await Promise.all([online(alice), online(alice)]);
  expect(one).toBe(other);
  expect(readDb.asked().filter((name) => name === "reader-rooms")).toHaveLength(1);
});

test("a read that fails is not remembered", async () => {
  await join();
  await own.caughtUp();
  readDb.fail("reader-rooms", 1);
  await expect(online(alice)).rejects.toThrow("reader-rooms fails");
  expect((await online(alice)).rooms.size).toBe(1);
});

test("thousands of rooms that a long response brings are added to a reader who is online", async () => {
  const before = await join();
  await own.caughtUp();
  const reader = await online(alice);
  const roomIds = [world.roomId(), world.roomId(), world.roomId()];
  const bodies = roomIds.map((roomId) => [roomId, world.newRoom([alice.userId])] as const);
  await world.store(alice, { join: Object.fromEntries(bodies) }, { isLong: true });
  readDb.asked();
  await own.caughtUp();
  expect(roomsOf(reader).sort()).toEqual([before, ...roomIds].sort());
  expect(roomIds.every((roomId) => isWokenBy(alice, roomId))).toBe(true);
  expect(readDb.asked()).not.toContain("reader-rooms");
});

test("changes of many users are read in as many queries as those of one", async () => {
  const users = await Promise.all(["kim", "lee", "max"].map((name) => world.user(name)));
  const roomIds = await Promise.all(users.map((user) => join(user)));
  await own.caughtUp();
  for (const user of users) await online(user);
  readDb.asked();
  const counts = { notification_count: 3, highlight_count: 1 };
  for (const [index, user] of users.entries()) {
    await world.store(user, { join: { [roomIds[index]!]: { unread_notifications: counts } } });
  }
  await own.caughtUp();
  expect(readDb.asked().filter((name) => name === "some-reader-rooms")).toHaveLength(1);
  for (const user of users) {
    const { rooms } = await online(user);
    expect([rooms.notificationCount(0), rooms.highlightCount(0)]).toEqual([3, 1]);
  }
});

test("who is over the budget and not waited for is dropped, the least recently used first", async () => {
  const users = await Promise.all(["kim", "lee", "max"].map((name) => world.user(name)));
  const roomIds = await Promise.all(users.map((user) => join(user)));
  const waiting = new Set<UserNid>();
  await restart({ maxReaderBytes: 0, isWaitedFor: (user) => waiting.has(user) });
  await own.caughtUp();
  waiting.add(users[0]!.userNid);
  const kept = await online(users[0]!);
  for (const user of users) await online(user);
  expect(own.memory.readers.size).toBe(1);
  expect(users.map((user, index) => isWokenBy(user, roomIds[index]!))).toEqual([true, false, false]);
  expect(await online(users[0]!)).toBe(kept);
  waiting.clear();
  await online(users[1]!);
  expect(own.memory.readers.size).toBe(0);
});

test("a reader that was dropped is read again as it is by then", async () => {
  const first = await join();
  await restart({ maxReaderBytes: 0 });
  await own.caughtUp();
  await online(alice);
  const second = await join();
  await own.caughtUp();
  expect(roomsOf(await online(alice))).toEqual([first, second]);
});

test("rooms and members that are learnt count towards the budget", async () => {
  const many = Array.from({ length: 60 }, (_, index) => `@member${index}:test` as UserId);
  const roomIds: string[] = [];
  for (let index = 0; index < 3; index++)
    roomIds.push(
      await join(
        alice,
        many.map((userId) => world.member(userId)),
      ),
    );
  await restart({ maxHotRoomBytes: 60_000 });
  await own.caughtUp();
  const readAll = async () => {
    const rooms = await own.memory.hotRooms.get(
      new Map(roomIds.map((roomId) => [nid(roomId), 1])),
      own.follower.position,
    );
    await own.memory.hotRooms.members(new Map([...rooms.values()].map((room) => [room, many])));
  };
  await readAll();
  readDb.asked();
  await readAll();
  expect(readDb.asked()).toContain("select-newest");
});

test("of a room in memory, state is read again when a change says that it changed", async () => {
  const roomId = await join();
  await own.caughtUp();
  const hot = (await own.memory.hotRooms.get(new Map([[nid(roomId), 1]]), own.follower.position)).get(nid(roomId));
  readDb.asked();
  const message = world.message(bob);
  await send(roomId, message);
  await own.caughtUp();
  expect(hot?.newest(1, own.follower.position, undefined)?.map(({ eventId }) => eventId)).toEqual([message.event_id]);
  expect(readDb.asked()).not.toContain("select-batch-state");
  const topic = world.state("m.room.topic", bob, { topic: "new" });
  await send(roomId, topic);
  await own.caughtUp();
  expect(readDb.asked()).toContain("select-batch-state");
  expect(hot?.select([{ type: "m.room.topic", stateKey: "" }]).map(({ eventId }) => eventId)).toEqual([topic.event_id]);
});

test("nothing of a change shows before all of it does", async () => {
  const kim = await world.user("kim");
  const roomId = await join(alice, [world.member(kim.userId)]);
  await world.store(kim, { join: { [roomId]: timeline() } });
  await own.caughtUp();
  const { rooms } = await online(alice);
  const room = nid(roomId);
  const before = own.follower.position;
  const kick = world.member(alice.userId, "leave", kim.userId);
  const name = world.state("m.room.name", kim.userId, { name: "secret" });
  await world.store(kim, { join: { [roomId]: timeline(kick, name) } });
  const isRead = readDb.hold("some-reader-rooms");
  own.follower.wake();
  const letGo = await isRead;
  expect(own.follower.position).toBe(before);
  expect([own.memory.columns.name(room), rooms.membership(0)]).toEqual([undefined, Membership.join]);
  letGo();
  await own.caughtUp();
  expect([own.memory.columns.name(room), rooms.membership(0)]).toEqual(["secret", Membership.leave]);
});

test("columns that were read before a change and arrive after it do not take it back", async () => {
  const roomId = await join();
  const isRead = readDb.hold("some-columns");
  const reading = online(alice);
  const letGo = await isRead;
  await send(roomId, world.state("m.room.name", bob, { name: "new" }));
  await own.caughtUp();
  const room = nid(roomId);
  const changedAt = own.memory.columns.changedAt(room);
  letGo();
  await reading;
  expect(own.memory.columns.name(room)).toBe("new");
  expect(own.memory.columns.changedAt(room)).toBe(changedAt);
});

test("what was stored before the stream was followed is there from the start, and what comes meanwhile is not missed", async () => {
  const before = await join();
  const isRead = readDb.hold("all-columns");
  await own[Symbol.asyncDispose]();
  const starting = startReadProcess(readDb);
  const letGo = await isRead;
  const meanwhile = await join();
  letGo();
  own = await starting;
  await until(() => nid(meanwhile) !== undefined);
  expect(nid(before)).toBeDefined();
});

test("a follower whose notifications are lost catches up when its connection is back", async () => {
  await join();
  const listeners = "SELECT pid FROM pg_stat_activity WHERE query LIKE 'LISTEN%' AND datname = current_database()";
  const roomId = await join();
  // Nobody is told of the room: only a reconnect makes the follower look.
  const terminated = await db.query({ text: `SELECT pg_terminate_backend(pid) FROM (${listeners}) AS l` });
  expect(terminated).toHaveLength(1);
  await until(() => nid(roomId) !== undefined);
});

test("a follower hears of what other processes store", async () => {
  const loud = new StoredWorld(db, { name: `loud${worlds++}`, notifies: true });
  const kim = await loud.user("kim");
  const roomId = loud.roomId();
  await loud.store(kim, { join: { [roomId]: loud.newRoom([kim.userId]) } });
  await until(() => nid(roomId) !== undefined);
});

test("a turn that fails is repeated soon, without anything new to wake it", async () => {
  const roomId = await join();
  readDb.fail("some-columns", 3);
  own.follower.wake();
  await until(() => nid(roomId) !== undefined);
  expect(own.errors.map(({ message }) => message)).toEqual(Array(3).fill("some-columns fails"));
  await own.caughtUp();
});

test("how far a follower is behind tells how long it has not been able to look", async () => {
  let nowMs = 1_000_000;
  await restart({ clock: { nowMs: () => nowMs } });
  await own.caughtUp();
  readDb.fail("select-changes", Number.POSITIVE_INFINITY);
  nowMs += 60_000;
  own.follower.wake();
  await until(() => own.errors.length > 0);
  expect(own.follower.behindMs).toBe(60_000);
  readDb.fail("select-changes", 0);
  await until(() => own.follower.behindMs === 0);
});

test("disposing ends a follower that cannot look", async () => {
  readDb.fail("select-changes", Number.POSITIVE_INFINITY);
  own.follower.wake();
  await until(() => own.errors.length > 1);
  await own[Symbol.asyncDispose]();
});
