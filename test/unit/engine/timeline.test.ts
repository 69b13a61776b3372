import { expect, test } from "@jest/globals";
import { cutTimeline, type TimelineBounds } from "../../../src/engine/rooms/timeline.ts";
import type { RoomData } from "../../../src/model/room-reads.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { ALICE_NID, alice, BOB_NID, bob, carol, type TestRoom, TestWorld } from "../../support/engine.ts";

const dataOf = (room: TestRoom): RoomData => ({
  timeline: room.timeline,
  chunks: room.chunks,
  state: [],
  members: new Map(),
  changed: [],
  ownMember: undefined,
  heroes: undefined,
  transactionIds: new Map(),
  attributed: new Set(),
});

const cut = (room: TestRoom, bounds: Partial<TimelineBounds> = {}) =>
  cutTimeline(dataOf(room), {
    ignored: new Set(),
    reader: ALICE_NID,
    limit: 100,
    after: undefined,
    isJoined: true,
    sinceOrderKey: undefined,
    ...bounds,
  });

/** A room whose history is known from `m.room.create` on. */
function wholeRoom(messages: number): TestRoom {
  const room = new TestWorld().emptyRoom();
  room.setState("m.room.create");
  for (let count = 0; count < messages; count++) room.message();
  return room;
}

/** A room of which only the end is known. */
function tailOfRoom(messages: number): TestRoom {
  const room = new TestWorld().emptyRoom();
  room.beginChunk();
  for (let count = 0; count < messages; count++) room.message();
  return room;
}

test.each([
  ["the whole room", wholeRoom(2), 3, 3, false],
  ["all but the first event", wholeRoom(2), 2, 2, true],
  ["all that is known of a longer room", tailOfRoom(2), 5, 2, true],
  ["nothing is known", tailOfRoom(0), 5, 0, true],
] as const)("a first timeline is limited unless it begins with the room: %s", (_name, room, limit, count, limited) => {
  const { events, limited: isLimited } = cut(room, { limit });
  expect(events).toEqual(room.timeline.slice(room.timeline.length - count));
  expect(isLimited).toBe(limited);
});

test.each([
  ["nothing is new", 0, 3, 0, false],
  ["some are new", 2, 3, 2, false],
  ["as many are new as fit", 3, 3, 3, false],
  ["one more is new than fits", 4, 3, 3, true],
] as const)("a delta is limited when something new does not fit: %s", (_name, fresh, limit, count, limited) => {
  const room = tailOfRoom(5);
  const after = room.timeline.at(-1)!.position;
  for (let index = 0; index < fresh; index++) room.message();
  const { events, limited: isLimited } = cut(room, { limit, after });
  expect(events).toEqual(count === 0 ? [] : room.timeline.slice(-count));
  expect(isLimited).toBe(limited);
});

test("a delta of which all stored events are new is limited, unless the room begins with them", () => {
  const tail = tailOfRoom(2);
  const whole = wholeRoom(2);
  const after = (room: TestRoom) => (room.timeline[0]!.position - 1) as typeof room.changedAt;
  expect(cut(tail, { after: after(tail) }).limited).toBe(true);
  expect(cut(whole, { after: after(whole) }).limited).toBe(false);
});

test("history that is learnt late is no news of a room that was told", () => {
  const room = tailOfRoom(3);
  const told = room.timeline.pop()!;
  room.message();
  const late = room.timeline.pop()!;
  room.timeline.splice(1, 0, { ...late, orderKey: room.timeline[0]!.orderKey + 1 });
  room.timeline.push(told);
  const fresh = room.message();
  expect(cut(room, { after: told.position })).toMatchObject({ events: [fresh], limited: false });
});

test.each([
  ["a chunk that does not continue the one before", { continues: false }, 1],
  ["a chunk that continues the one before", { continues: true }, 3],
  ["a chunk that continues it for somebody else", { continues: true, attestedFor: BOB_NID }, 1],
  ["a chunk that continues it for the reader", { continues: true, attestedFor: ALICE_NID }, 3],
] as const)("the timeline goes on before %s or not", (_name, chunk, count) => {
  const room = tailOfRoom(2);
  room.beginChunk(chunk);
  room.message();
  expect(cut(room)).toMatchObject({ events: room.timeline.slice(-count), limited: true });
});

test("in a chunk that is attested for somebody else no two events are shown as neighbours", () => {
  const room = tailOfRoom(1);
  const after = room.timeline[0]!.position;
  room.beginChunk({ continues: true, attestedFor: BOB_NID });
  room.message();
  const last = room.message();
  expect(cut(room, { after })).toMatchObject({ events: [last], limited: true });
});

test("a gap between what was told and what is new is limited", () => {
  const room = tailOfRoom(2);
  const after = room.timeline.at(-1)!.position;
  room.beginChunk();
  const first = room.message();
  expect(cut(room, { after })).toMatchObject({ events: [first], limited: true });
});

test.each([
  ["worldReadable", Visibility.worldReadable, true],
  ["shared", Visibility.shared, true],
  ["invited", Visibility.invited, false],
  ["joined", Visibility.joined, false],
  ["unknown", Visibility.unknown, false],
] as const)("before a join, history with visibility %s is shown or not", (_name, visibility, isShown) => {
  const room = new TestWorld().emptyRoom();
  room.setState("m.room.create");
  const before = room.send({ visibility });
  const join = room.send({ type: "m.room.member", stateKey: alice, sender: alice, visibility });
  const after = room.send({ visibility });
  const { events, limited } = cut(room, { sinceOrderKey: join.orderKey });
  expect(events).toEqual(isShown ? room.timeline : [join, after]);
  expect(events.includes(before)).toBe(isShown);
  expect(limited).toBe(!isShown);
});

test("who was in from the first stored event on is shown all from there, and not what came before and is stored later", () => {
  const room = new TestWorld().emptyRoom();
  const first = room.send({ visibility: Visibility.joined });
  room.send({ visibility: Visibility.joined });
  expect(cut(room).events).toEqual(room.timeline);
  room.insert(first, first.chunk, { visibility: Visibility.joined });
  expect(cut(room)).toMatchObject({ events: room.timeline.slice(1), limited: true });
});

test("of a departed reader's past, what is not open to all members ends with the departure", () => {
  const room = wholeRoom(0);
  room.send({ visibility: Visibility.joined });
  const leave = room.send({ type: "m.room.member", stateKey: alice, sender: alice, visibility: Visibility.joined });
  const bounds = { isJoined: false, sinceOrderKey: leave.orderKey };
  expect(cut(room, bounds)).toMatchObject({ events: [leave], limited: true });
});

test.each([
  ["its own exact token", ["exact", undefined, undefined], "exact"],
  ["the exact token of a later event", [undefined, "later", undefined], "later"],
  ["no token", [undefined, undefined, undefined], undefined],
] as const)("prev_batch of the first event is %s", (_name, tokens, expected) => {
  const world = new TestWorld();
  const room = world.emptyRoom();
  room.beginChunk();
  const position = world.nextPosition();
  room.add({ tokenBefore: "too early" }, position);
  for (const token of tokens) room.add(token === undefined ? {} : { tokenBefore: token }, position);
  expect(cut(room, { limit: 3 }).prevBatch).toBe(expected);
});

test("prev_batch is the response's token only when no exact one lies before it", () => {
  const world = new TestWorld();
  const room = world.emptyRoom();
  room.beginChunk();
  const batch = (tokens: readonly (string | undefined)[], tokenAfter: string) => {
    const position = world.nextPosition();
    for (const token of tokens)
      room.add({ tokenAfter, ...(token === undefined ? {} : { tokenBefore: token }) }, position);
  };
  batch(["a1", undefined, "a3"], "A");
  batch(["b1", undefined], "B");
  expect([6, 4, 3, 2, 1].map((limit) => cut(room, { limit }).prevBatch)).toEqual(["a1", "a3", "a3", "b1", "B"]);
  batch([undefined], "C");
  batch(["d1"], "D");
  expect(cut(room, { limit: 2 }).prevBatch).toBe("C");
});

test("an empty timeline has the token after the newest event, never the one before it", () => {
  const room = tailOfRoom(0);
  const told = room.send({ tokenBefore: "before", tokenAfter: "after" });
  expect(cut(room, { after: told.position })).toEqual({ events: [], limited: false, prevBatch: "after" });
});

test("messages of ignored users are left out without a hole, and their state events are shown", () => {
  const room = wholeRoom(1);
  room.message(carol);
  room.setMember(carol, "join", { displayname: "Carol" });
  room.message(carol);
  room.message(bob);
  const [create, first, , member, , last] = room.timeline;
  const { events, limited } = cut(room, { ignored: new Set([carol]) });
  expect(events).toEqual([create, first, member, last]);
  expect(limited).toBe(false);
  expect(cut(room, { ignored: new Set([bob, carol, alice]), limit: 1 }).events).toEqual([]);
});
