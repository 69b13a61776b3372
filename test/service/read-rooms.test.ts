import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { RoomNid, UserId } from "../../src/model/ids.ts";
import type { RoomData, RoomReads, StateSelector } from "../../src/model/room-reads.ts";
import type { StoredEvent } from "../../src/model/stored-event.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import type { TimelineRow } from "../../src/store/event-rows.ts";
import { RoomReader } from "../../src/store/room-reader.ts";
import { selectNewest, selectTails } from "../../src/store/room-selects.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { type ReadProcess, startReadProcess } from "../support/read-process.ts";
import { StoredWorld, type StreamUser, timeline, type WireEvent } from "../support/stored-world.ts";
import { type WatchedDatabase, watched } from "../support/watched-database.ts";

let db: TestDatabase;
let readDb: WatchedDatabase;
let own: ReadProcess;
const bob = "@bob:test" as UserId;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

beforeEach(async () => {
  readDb = watched(db);
  own = await startReadProcess(readDb);
});

afterEach(async () => {
  await own[Symbol.asyncDispose]();
});

let worlds = 0;
/** Alice, with a room that she shares with Bob. Ids are of this world alone. */
async function newWorld() {
  const world = new StoredWorld(db, { name: `world${worlds++}` });
  const alice = await world.user("alice");
  const room = await newRoom(world, alice);
  return { world, alice, ...room };
}

async function newRoom(world: StoredWorld, alice: StreamUser, more: readonly WireEvent[] = []) {
  const roomId = world.roomId();
  const first = world.newRoom([alice.userId, bob], more);
  await world.store(alice, { join: { [roomId]: first } });
  await own.caughtUp();
  const send = async (...events: readonly WireEvent[]) => {
    await world.store(alice, { join: { [roomId]: timeline(...events) } });
    return await own.caughtUp();
  };
  return { roomId, send, first: first.timeline!.events, room: own.memory.columns.find(roomId)! };
}

const readsOf = (room: RoomNid, more: Partial<RoomReads>): RoomReads => ({
  heroes: false,
  room,
  timelineEvents: 0,
  upToOrderKey: undefined,
  state: [],
  members: [],
  changedAfter: undefined,
  toldUpTo: undefined,
  ownMember: false,
  ...more,
});

const readerOf = (user: StreamUser, to = own.follower.position) =>
  new RoomReader({ db: readDb, hotRooms: own.memory.hotRooms }, { ...user, to });

async function read(user: StreamUser, room: RoomNid, more: Partial<RoomReads>, to?: StreamPosition): Promise<RoomData> {
  return (await readerOf(user, to).rooms([readsOf(room, more)])).get(room)!;
}

const idsOf = (events: readonly StoredEvent[]) => events.map(({ eventId }) => eventId);
const idsIn = (events: readonly WireEvent[]) => events.map(({ event_id }) => event_id);
const select = (type?: string, stateKey?: string): StateSelector => ({ type, stateKey });
const messages = (world: StoredWorld, count: number, sender = bob) =>
  Array.from({ length: count }, () => world.message(sender));

test("the newest events of a room are the same whether all of it is asked for or what there is at a position", async () => {
  const { world, alice, roomId, room } = await newWorld();
  for (let part = 0; part < 5; part++) {
    const events = messages(world, 1 + (part % 3));
    await world.store(alice, {
      join: { [roomId]: { timeline: { events, limited: part % 2 === 0, prev_batch: `p${part}` } } },
    });
  }
  const to = await own.caughtUp();
  const inOrder = (rows: readonly TimelineRow[]) => rows.toSorted((a, b) => a.order_key - b.order_key);
  for (let count = 1; count <= 12; count++) {
    const newest = inOrder(await selectNewest(db, [{ room, count }]));
    expect(newest).toEqual(inOrder(await selectTails(db, [{ room, count }], to)));
    expect(newest).toHaveLength(count);
  }
});

test("the newest events come oldest first, with the tokens around them", async () => {
  const { world, alice, roomId, room } = await newWorld();
  const batches = [messages(world, 2), messages(world, 1)];
  for (const [index, events] of batches.entries()) {
    await world.store(alice, { join: { [roomId]: { timeline: { events, limited: false, prev_batch: `p${index}` } } } });
  }
  await own.caughtUp();
  const { timeline: found } = await read(alice, room, { timelineEvents: 3 });
  expect(idsOf(found)).toEqual(idsIn(batches.flat()));
  expect(found.map(({ tokenBefore }) => tokenBefore)).toEqual(["p0", undefined, "p1"]);
  expect(found[0]!.tokenAfter).toBe(found[1]!.tokenAfter);
  expect(found[2]!.tokenAfter).not.toBe(found[1]!.tokenAfter);
});

test("events come with the chunks that they stand in", async () => {
  const { world, alice, roomId, room } = await newWorld();
  const late = messages(world, 2);
  await world.store(alice, { join: { [roomId]: { timeline: { events: late, limited: true, prev_batch: "gap" } } } });
  await own.caughtUp();
  for (const memory of ["read", "known"]) {
    const { timeline: found, chunks } = await read(alice, room, { timelineEvents: 10 });
    const facts = found.map(({ chunk }) => chunks.get(chunk));
    expect([memory, facts[0]?.isStart, facts.at(-1)?.continues]).toEqual([memory, true, false]);
    expect(found.at(-1)!.chunk).toBe(found.at(-2)!.chunk);
    expect(found.at(-1)!.chunk).not.toBe(found.at(-3)!.chunk);
  }
});

test("events above the answer's position are left out, in memory or not", async () => {
  const { world, alice, room, send } = await newWorld();
  const [before, after] = [messages(world, 3), messages(world, 30)];
  const to = await send(...before);
  await read(alice, room, { timelineEvents: 3 });
  await send(...after);
  const hot = await read(alice, room, { timelineEvents: 3 }, to);
  own.memory.hotRooms.clear();
  const cold = await read(alice, room, { timelineEvents: 3 }, to);
  expect(idsOf(hot.timeline)).toEqual(idsIn(before));
  expect(idsOf(cold.timeline)).toEqual(idsIn(before));
});

test("events after a departure are left out, however many came since", async () => {
  const { world, alice, room, send } = await newWorld();
  const before = messages(world, 2);
  await send(...before);
  const { timeline: shown } = await read(alice, room, { timelineEvents: 1 });
  const upToOrderKey = shown[0]!.orderKey;
  await send(...messages(world, 60));
  const { timeline: found } = await read(alice, room, { timelineEvents: 2, upToOrderKey });
  expect(idsOf(found)).toEqual(idsIn(before));
});

test("more events than a room keeps in memory at first are read once", async () => {
  const { world, alice, room, send } = await newWorld();
  const events = messages(world, 100);
  await send(...events);
  await read(alice, room, { timelineEvents: 5 });
  readDb.asked();
  const { timeline: first } = await read(alice, room, { timelineEvents: 90 });
  expect(idsOf(first)).toEqual(idsIn(events.slice(-90)));
  expect(readDb.asked()).toContain("select-newest");
  const { timeline: second } = await read(alice, room, { timelineEvents: 90 });
  expect(idsOf(second)).toEqual(idsOf(first));
  expect(readDb.asked()).toEqual([]);
});

test("more events than a room may keep in memory are read every time", async () => {
  const { world, alice, room, send } = await newWorld();
  const events = messages(world, 260);
  await send(...events);
  for (let time = 0; time < 2; time++) {
    const { timeline: found } = await read(alice, room, { timelineEvents: 250 });
    expect(idsOf(found)).toEqual(idsIn(events.slice(-250)));
  }
});

test("a room that many ask for at the same time is read once, and again when that failed", async () => {
  const { alice, room } = await newWorld();
  readDb.asked();
  const all = await Promise.all(Array.from({ length: 50 }, () => read(alice, room, { timelineEvents: 3 })));
  expect(new Set(all.map(({ timeline: found }) => idsOf(found).join())).size).toBe(1);
  expect(readDb.asked().filter((name) => name === "select-newest")).toHaveLength(1);
  own.memory.hotRooms.clear();
  readDb.fail("select-newest", 1);
  const [failed, other] = await Promise.allSettled([
    read(alice, room, { timelineEvents: 3 }),
    read(alice, room, { timelineEvents: 3 }),
  ]);
  expect([failed.status, other.status]).toEqual(["rejected", "fulfilled"]);
});

test("a room whose oldest events are in memory is known to be whole", async () => {
  const { alice, room, first } = await newWorld();
  for (let time = 0; time < 2; time++) {
    const { timeline: found } = await read(alice, room, { timelineEvents: 100 });
    expect(idsOf(found)).toEqual(idsIn(first));
  }
});

test.each([
  ["in memory"],
  ["not in memory"],
])("of each state key that changed the last value comes, %s", async (where) => {
  const { world, alice, room, send } = await newWorld();
  const before = own.follower.position;
  if (where === "in memory") await read(alice, room, { timelineEvents: 1 });
  const name = (text: string) => world.state("m.room.name", bob, { name: text });
  const [topic, member, last] = [world.state("m.room.topic", bob), world.member(bob), name("last")];
  await send(name("first"), topic);
  const to = await send(last, member);
  const later = name("later");
  await send(later);
  expect(idsOf((await read(alice, room, { changedAfter: before }, to)).changed).sort()).toEqual(
    idsIn([topic, last, member]).sort(),
  );
  expect(idsOf((await read(alice, room, { changedAfter: to })).changed)).toEqual(idsIn([later]));
  expect((await read(alice, room, { changedAfter: own.follower.position })).changed).toEqual([]);
});

test("what changed before a room came into memory is read from the log", async () => {
  const { world, alice, room, send } = await newWorld();
  const before = own.follower.position;
  const topic = world.state("m.room.topic", bob);
  await send(topic);
  await read(alice, room, { timelineEvents: 1 });
  expect(idsOf((await read(alice, room, { changedAfter: before })).changed)).toEqual(idsIn([topic]));
  expect(readDb.asked()).toContain("select-deltas");
});

test("state is selected by type, by key, by both, or all but members", async () => {
  const world = new StoredWorld(db, { name: `world${worlds++}` });
  const alice = await world.user("alice");
  const [topic, one, two] = [
    world.state("m.room.topic", bob),
    world.state("org.test", bob, {}, "one"),
    world.state("org.test", bob, {}, "two"),
  ];
  const { room, first } = await newRoom(world, alice, [topic, one, two]);
  const [create, aliceMember, bobMember] = first;
  const selected = async (...state: readonly StateSelector[]) =>
    idsOf((await read(alice, room, { state })).state).sort();
  expect(await selected(select("m.room.topic", ""))).toEqual(idsIn([topic]));
  expect(await selected(select("org.test"))).toEqual(idsIn([one, two]).sort());
  expect(await selected(select(undefined, "two"))).toEqual(idsIn([two]));
  expect(await selected(select("m.room.topic", ""), select("m.room.topic"))).toEqual(idsIn([topic]));
  expect(await selected(select("m.room.member", bob))).toEqual(idsIn([bobMember!]));
  expect(await selected(select("m.room.member"))).toEqual(idsIn([aliceMember!, bobMember!]).sort());
  expect(await selected(select())).toEqual(idsIn([create!, aliceMember!, bobMember!, topic, one, two]).sort());
  expect(await selected(select("m.room.member", "@nobody:test"))).toEqual([]);
});

test("state as of a departure is what stands before it, and what was known by then where it has no place", async () => {
  const { world, alice, roomId, room, send, first } = await newWorld();
  const state = (type: string) => world.state(type, bob);
  /** What is in nobody's timeline. */
  const lost = async (...events: readonly WireEvent[]) => {
    const after = { timeline: { events: messages(world, 1), limited: true }, state: { events } };
    await world.store(alice, { join: { [roomId]: after } });
    return await own.caughtUp();
  };
  const [topic, name, pins, acl] = [state("m.room.topic"), state("m.room.name"), state("org.pins"), state("org.acl")];
  await send(state("m.room.topic"), name);
  await send(topic);
  const knownAt = await lost(pins);
  await lost(acl);
  const kick = world.member(alice.userId, "leave", bob);
  await send(kick, state("m.room.topic"), state("org.made"));
  await send(state("m.room.name"), world.member(bob));
  await lost(state("org.pins"), state("org.acl"), state("org.lost"));
  const { timeline: found } = await read(alice, room, { timelineEvents: 10 });
  const upToOrderKey = found.find(({ eventId }) => eventId === kick.event_id)!.orderKey;
  const stateAt = async (at: number, ...selectors: readonly StateSelector[]) => {
    const stateAtDeparture = { selectors, knownAt: at as StreamPosition };
    return idsOf((await read(alice, room, { upToOrderKey, stateAtDeparture })).state).sort();
  };
  const [create, , bobMember] = first;
  const placed = [create!, bobMember!, kick, topic, name];
  expect(await stateAt(knownAt, select())).toEqual(idsIn([...placed, pins]).sort());
  expect(await stateAt(0, select())).toEqual(idsIn(placed).sort());
  expect(await stateAt(knownAt, select("m.room.topic", ""), select(undefined, bob))).toEqual(
    idsIn([topic, bobMember!]).sort(),
  );
});

test("the reader's own member event is that of the departure, whoever sent it", async () => {
  const { world, alice, roomId, room } = await newWorld();
  const kick = world.member(alice.userId, "leave", bob);
  await world.store(alice, { leave: { [roomId]: timeline(kick) } });
  await own.caughtUp();
  expect((await read(alice, room, { ownMember: true })).ownMember?.eventId).toBe(kick.event_id);
});

test("the reader's own member event alone reads nothing else of the room", async () => {
  const { alice, room } = await newWorld();
  readDb.asked();
  await read(alice, room, { ownMember: true });
  expect(readDb.asked()).toEqual(["select-own-members"]);
});

test("a transaction id comes for the device that sent the event, and for no other", async () => {
  const { world, alice, roomId, room } = await newWorld();
  const laptop = await world.user("alice", "LAPTOP");
  const sent = world.message(alice.userId, { unsigned: { transaction_id: "txn" } });
  await world.store(alice, { join: { [roomId]: timeline(sent, world.message(bob)) } });
  await own.caughtUp();
  const idsFor = async (device: StreamUser) => [
    ...(await read(device, room, { timelineEvents: 2 })).transactionIds.values(),
  ];
  expect(await idsFor(alice)).toEqual(["txn"]);
  expect(await idsFor(laptop)).toEqual([]);
});

test("members of many rooms are read in one query, and known from then on", async () => {
  const { world, alice } = await newWorld();
  const rooms = [await newRoom(world, alice), await newRoom(world, alice), await newRoom(world, alice)];
  const stranger = "@stranger:test" as UserId;
  const wanted = new Map(rooms.map(({ room }) => [room, [bob, alice.userId, stranger]] as const));
  const reads = rooms.map(({ room }) => readsOf(room, { timelineEvents: 1 }));
  const first = readerOf(alice);
  await first.rooms(reads);
  readDb.asked();
  const members = await first.members(wanted);
  expect(readDb.asked()).toEqual(["select-members"]);
  for (const { room, first: events } of rooms) {
    expect(members.get(room)?.get(bob)?.eventId).toBe(events[2]!.event_id);
    expect(members.get(room)?.get(alice.userId)?.eventId).toBe(events[1]!.event_id);
    expect(members.get(room)?.has(stranger)).toBe(false);
  }
  const second = readerOf(alice);
  await second.rooms(reads);
  expect(await second.members(wanted)).toEqual(members);
  expect(readDb.asked()).toEqual([]);
});

test("a member that is known changes with the room", async () => {
  const { world, alice, room, send } = await newWorld();
  await read(alice, room, { members: [bob] });
  const renamed = world.member(bob);
  await send(renamed);
  readDb.asked();
  expect((await read(alice, room, { members: [bob] })).members.get(bob)?.eventId).toBe(renamed.event_id);
  expect(readDb.asked()).toEqual([]);
});

test("whom the end of a room names is read with it, and who was asked for", async () => {
  const { world, alice, room, send } = await newWorld();
  const carol = "@carol:test" as UserId;
  await send(world.member(carol, "invite", bob), ...messages(world, 3));
  readDb.asked();
  await read(alice, room, { timelineEvents: 4, members: [alice.userId, "@nobody:test" as UserId] });
  expect(readDb.asked()).not.toContain("select-members");
  readDb.asked();
  const all = [alice.userId, bob, carol, "@nobody:test" as UserId];
  const { members } = await read(alice, room, { timelineEvents: 4, members: all });
  expect([...members.keys()]).toEqual([alice.userId, bob, carol]);
  expect(readDb.asked()).toEqual([]);
});

test("a member that changes while it is read is read again", async () => {
  const { world, alice, room, send } = await newWorld();
  await send(...messages(world, 10, alice.userId));
  await read(alice, room, { timelineEvents: 1 });
  const isRead = readDb.hold("select-members");
  const reading = read(alice, room, { members: [bob] });
  const letGo = await isRead;
  const renamed = world.member(bob);
  await send(renamed);
  letGo();
  await reading;
  expect((await read(alice, room, { members: [bob] })).members.get(bob)?.eventId).toBe(renamed.event_id);
});

test("what is in memory is read without any query, new messages included", async () => {
  const { world, alice, room, send } = await newWorld();
  const wanted: Partial<RoomReads> = { timelineEvents: 1, state: [select("m.room.create", "")], members: [bob] };
  await read(alice, room, wanted);
  const after = own.follower.position;
  const sent = world.message(bob);
  await send(sent);
  readDb.asked();
  const found = await read(alice, room, { ...wanted, changedAfter: after });
  expect(found.timeline.at(-1)?.eventId).toBe(sent.event_id);
  expect(readDb.asked()).toEqual([]);
});

test("state newer than the answer's position shows whether the reader was put out before it came", async () => {
  const { world, alice, roomId, room } = await newWorld();
  const kim = await world.user("kim");
  await world.store(kim, { join: { [roomId]: timeline(world.member(kim.userId)) } });
  const to = await own.caughtUp();
  const topicRead = async () => {
    const reader = readerOf(kim, to);
    await reader.rooms([readsOf(room, { state: [select("m.room.topic", "")] })]);
    return await reader.movedAt([]);
  };
  await world.store(alice, { join: { [roomId]: timeline(world.state("m.room.topic", bob)) } });
  expect(await topicRead()).toBeUndefined();
  await world.store(alice, { join: { [roomId]: timeline(world.member(kim.userId, "leave", alice.userId)) } });
  await world.store(alice, { join: { [roomId]: timeline(world.state("m.room.topic", bob)) } });
  const movedAt = await topicRead();
  expect(movedAt).toBeGreaterThan(to);
  expect(movedAt).toBeLessThanOrEqual(await own.caughtUp());
});

test("nothing is asked of memberships while all that was read is old enough", async () => {
  const { alice, room } = await newWorld();
  const reader = readerOf(alice);
  await reader.rooms([readsOf(room, { timelineEvents: 5, state: [select()] })]);
  readDb.asked();
  expect(await reader.movedAt([])).toBeUndefined();
  expect(readDb.asked()).toEqual([]);
});

test("heroes are read where they are wanted, at once or later", async () => {
  const { world, alice, room, roomId } = await newWorld();
  const heroes = ["@hero:test"];
  await world.store(alice, {
    join: { [roomId]: { ...timeline(world.message(bob)), summary: { "m.heroes": heroes } } },
  });
  const to = await own.caughtUp();
  const reader = new RoomReader({ db: readDb, hotRooms: own.memory.hotRooms }, { ...alice, to });
  const data = await reader.rooms([readsOf(room, { heroes: true })]);
  expect(data.get(room)?.heroes).toEqual(heroes);
  const without = await reader.rooms([readsOf(room, {})]);
  expect(without.get(room)?.heroes).toBeUndefined();
  expect(await reader.withHeroes(without, [])).toBe(without);
  expect((await reader.withHeroes(without, [room])).get(room)?.heroes).toEqual(heroes);
});
