import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import { Membership } from "../../src/model/membership.ts";
import { selectHead } from "../../src/store/changes.ts";
import { forgetRoom } from "../../src/store/forgets.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { type StreamUser, timeline, type WireEvent } from "../support/stored-world.ts";
import { eventsOf, roomIn, SyncWorld } from "../support/sync-world.ts";

/** Nobody waits so long: what ends a poll that may is always something else. */
const LONG_MS = 30_000;

let db: TestDatabase;
let world: SyncWorld;
/** Who runs the room, and who is in it. */
let kim: StreamUser;
let alice: StreamUser;
let roomId: string;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

beforeEach(async () => {
  world = await SyncWorld.start(db);
  kim = await world.stored.user("kim");
  alice = await world.stored.user("alice");
  roomId = world.stored.roomId();
  await world.stored.store(kim, {
    join: { [roomId]: world.stored.newRoom([kim.userId, alice.userId], [name("open")]) },
  });
  await world.stored.store(alice, { join: { [roomId]: timeline(message()) } });
  await world.caughtUp();
});

afterEach(async () => {
  await world[Symbol.asyncDispose]();
});

const name = (text: string) => world.stored.state("m.room.name", kim.userId, { name: text });
const encryption = () => world.stored.state("m.room.encryption", kim.userId, { algorithm: "m.megolm.v1.aes-sha2" });
const message = () => world.stored.message(kim.userId);
const kickOf = (user: StreamUser, membership = "leave") => world.stored.member(user.userId, membership, kim.userId);

/** Kim's stream brings events, and the process learns of them unless it must not. */
const kimBrings = (...events: readonly WireEvent[]) =>
  world.stored.store(kim, {
    join: { [roomId]: { ...timeline(...events), summary: { "m.joined_member_count": 1000 + events.length } } },
  });

const everything = config(20, "* *", "m.room.member *");
const byList = (): Partial<SyncRequest> => request({ main: list([[0, 19]], everything) });
const bySubscription = (): Partial<SyncRequest> => request({}, new Map([[roomId as never, everything]]));
const ways = [
  ["by a list", byList],
  ["by a subscription", bySubscription],
  ["by both", () => ({ ...byList(), ...{ subscriptions: bySubscription().subscriptions! } })],
] as const;

/** Everything that an answer says, for looking whether something is in it. */
const textOf = async (answer: Awaited<ReturnType<SyncWorld["sync"]>>) =>
  JSON.stringify(answer.response.rooms, (_key, value) =>
    value?.type === "Buffer" ? Buffer.from(value.data).toString() : value,
  );

test.each(ways)("a kicked user is told the kick and nothing that came after it, %s", async (_how, way) => {
  const { pos } = await world.sync(alice, way());
  const before = message();
  const kick = kickOf(alice);
  await kimBrings(before, kick);
  const secrets = [name("secret name"), message(), world.stored.state("m.room.topic", kim.userId, { topic: "secret" })];
  await kimBrings(...secrets);
  await world.caughtUp();
  const answer = await world.sync(alice, { ...way(), pos });
  const room = roomIn(answer, roomId)!;
  expect(room.membership).toBe(Membership.leave);
  expect(eventsOf(room)).toEqual([before.event_id, kick.event_id]);
  expect(room.requiredState.map(({ eventId }) => eventId)).toEqual([kick.event_id]);
  expect([room.name, room.joinedCount, room.invitedCount]).toEqual([undefined, undefined, undefined]);
  const text = await textOf(answer);
  for (const secret of secrets) expect(text).not.toContain(secret.event_id);
  expect(text).not.toContain("secret");
  await kimBrings(message(), name("later secret"));
  await world.caughtUp();
  expect((await world.sync(alice, { ...way(), pos: answer.pos })).response.rooms).toEqual([]);
});

test.each(ways)("a user who was kicked while they waited is told the kick and nothing else, %s", async (_how, way) => {
  const { pos } = await world.sync(alice, way());
  const waiting = world.sync(alice, { ...way(), pos, timeoutMs: LONG_MS });
  await world.waiting();
  const kick = kickOf(alice, "ban");
  await kimBrings(kick, name("secret"), message());
  await world.caughtUp();
  const answer = await waiting;
  expect(roomIn(answer, roomId)?.membership).toBe(Membership.ban);
  expect(eventsOf(roomIn(answer, roomId))).toEqual([kick.event_id]);
  expect(await textOf(answer)).not.toContain("secret");
});

test.each(ways)("a kick that is stored while the room is read keeps back what came after it, %s", async (_how, way) => {
  const isReaderRead = world.db.hold("reader-rooms");
  const isStateRead = world.db.hold("select-state");
  const asking = world.sync(alice, way());
  const planWith = await isReaderRead;
  // The process has not learnt of it, so that its memory has alice in the room.
  await kimBrings(kickOf(alice));
  await kimBrings(name("secret"), world.stored.state("m.room.topic", kim.userId, { topic: "secret" }));
  planWith();
  const answerWith = await isStateRead;
  answerWith();
  const caughtUp = world.caughtUp();
  const answer = await asking;
  await caughtUp;
  expect(await textOf(answer)).not.toContain("secret");
});

test("a kick and what came after it, stored while a room is read that was in nobody's memory, stay back", async () => {
  const { pos } = await world.sync(alice, bySubscription());
  await world.restart();
  const isRead = world.db.hold("select-newest");
  await kimBrings(message());
  await world.caughtUp();
  const asking = world.sync(alice, { ...bySubscription(), pos });
  const letGo = await isRead;
  await kimBrings(kickOf(alice), name("secret"));
  letGo();
  const caughtUp = world.caughtUp();
  const answer = await asking;
  await caughtUp;
  expect(await textOf(answer)).not.toContain("secret");
});

test.each(ways)("a user who left is told nothing that came after, %s", async (how, way) => {
  const { pos } = await world.sync(alice, way());
  const leave = world.stored.member(alice.userId, "leave");
  await world.stored.store(alice, { leave: { [roomId]: timeline(leave) } });
  await kimBrings(message(), name("secret"));
  await world.caughtUp();
  const answer = await world.sync(alice, { ...way(), pos });
  expect(eventsOf(roomIn(answer, roomId))).toEqual([leave.event_id]);
  expect(await textOf(answer)).not.toContain("secret");
  const anew = await world.sync(alice, way());
  expect(anew.response.rooms.map((room) => room.roomId)).toEqual(how === "by a list" ? [] : [roomId]);
  expect(anew.response.lists.get("main")?.count).toBe(how === "by a subscription" ? undefined : 0);
  expect(await textOf(anew)).not.toContain("secret");
});

/** How many rooms each user has in a list of encrypted rooms and in one of plain ones. */
const countsByEncryption = async (...users: readonly StreamUser[]) => {
  const filters = (isEncrypted: boolean) => list("all", config(0), { isEncrypted });
  const wanted = request({ encrypted: filters(true), plain: filters(false) });
  const answers = await Promise.all(users.map((user) => world.sync(user, wanted)));
  return answers.map(({ response: { lists } }) => [lists.get("encrypted")?.count, lists.get("plain")?.count]);
};

test.each([
  ["later", () => [kickOf(alice), encryption()]],
  ["earlier", () => [encryption(), kickOf(alice)]],
] as const)("who was kicked stays in lists by what they knew, where the room is encrypted %s", async (when, events) => {
  await kimBrings(...events());
  await world.caughtUp();
  const expected = [[1, 0], when === "later" ? [0, 1] : [1, 0]];
  expect(await countsByEncryption(kim, alice)).toEqual(expected);
  await world.restart();
  expect(await countsByEncryption(kim, alice)).toEqual(expected);
});

test.each(ways)("a stranger is told nothing, %s", async (_how, way) => {
  const stranger = await world.stored.user("stranger");
  await world.stored.store(stranger, {});
  await world.caughtUp();
  const first = await world.sync(stranger, way());
  expect(first.response.rooms).toEqual([]);
  await kimBrings(message());
  await world.caughtUp();
  const { response } = await world.sync(stranger, { ...way(), pos: first.pos });
  expect(response.rooms).toEqual([]);
});

test.each(ways)("an invited user is told the stripped state alone, %s", async (_how, way) => {
  const guest = await world.stored.user("guest");
  const stripped = [
    { type: "m.room.name", state_key: "", sender: kim.userId, content: { name: "stripped name" } },
    { type: "m.room.member", state_key: guest.userId, sender: kim.userId, content: { membership: "invite" } },
  ];
  await world.stored.store(guest, { invite: { [roomId]: { invite_state: { events: stripped } } } });
  await kimBrings(message(), name("secret"));
  await world.caughtUp();
  const first = await world.sync(guest, way());
  const room = roomIn(first, roomId)!;
  expect([room.membership, room.isInitial]).toEqual([Membership.invite, true]);
  expect(JSON.parse(room.strippedState!.toString())).toEqual(stripped);
  expect([room.timeline, room.requiredState, room.name, room.joinedCount]).toEqual([
    undefined,
    [],
    undefined,
    undefined,
  ]);
  await kimBrings(message());
  await world.caughtUp();
  expect((await world.sync(guest, { ...way(), pos: first.pos })).response.rooms).toEqual([]);
});

test("an invited user who joins is told the room from its start", async () => {
  const guest = await world.stored.user("guest");
  await world.stored.store(guest, { invite: { [roomId]: { invite_state: { events: [] } } } });
  await world.caughtUp();
  const { pos } = await world.sync(guest, byList());
  const join = world.stored.member(guest.userId);
  await world.stored.store(guest, { join: { [roomId]: timeline(join) } });
  await world.caughtUp();
  const room = roomIn(await world.sync(guest, { ...byList(), pos }), roomId)!;
  expect([room.membership, room.isInitial, room.name]).toEqual([Membership.join, true, "open"]);
  expect(eventsOf(room)?.at(-1)).toBe(join.event_id);
});

test("a user who was kicked and is back is told the room anew", async () => {
  const { pos } = await world.sync(alice, byList());
  await kimBrings(kickOf(alice));
  await kimBrings(message());
  const join = world.stored.member(alice.userId);
  await world.stored.store(alice, { join: { [roomId]: timeline(join) } });
  await world.caughtUp();
  const room = roomIn(await world.sync(alice, { ...byList(), pos }), roomId)!;
  expect([room.membership, room.isInitial]).toEqual([Membership.join, true]);
  expect(eventsOf(room)?.at(-1)).toBe(join.event_id);
});

/** Alice forgets the room with a request that was sent when all up to the position was stored. */
const forget = async (storedBefore: number) => {
  await forgetRoom(db, { userId: alice.userId, roomId: roomId as never, storedBefore: storedBefore as never });
};

test("a room that is forgotten before its departure is stored is told as left, and is in no new list", async () => {
  const { pos } = await world.sync(alice, byList());
  await forget(await selectHead(db));
  await kimBrings(kickOf(alice));
  await world.caughtUp();
  const answer = await world.sync(alice, { ...byList(), pos });
  expect(roomIn(answer, roomId)?.membership).toBe(Membership.leave);
  for (const next of [await world.sync(alice, { ...byList(), pos: answer.pos }), await world.sync(alice, byList())]) {
    expect([next.response.rooms, next.response.lists.get("main")?.count]).toEqual([[], 0]);
  }
});

test("a room that was left and forgotten is shown to no new subscription", async () => {
  await world.stored.store(alice, { leave: { [roomId]: timeline(world.stored.member(alice.userId, "leave")) } });
  await world.caughtUp();
  expect((await world.sync(alice, bySubscription())).response.rooms).toHaveLength(1);
  await forget(await selectHead(db));
  await world.caughtUp();
  expect((await world.sync(alice, bySubscription())).response.rooms).toEqual([]);
});

test("a forgotten room goes from the memory of a process that holds it", async () => {
  await kimBrings(kickOf(alice));
  await world.caughtUp();
  const { pos } = await world.sync(alice, byList());
  await forget(0);
  await world.caughtUp();
  expect((await world.sync(alice, { ...byList(), pos })).response.lists.get("main")?.count).toBe(0);
});

test("a return that is newer than a forgetting is not forgotten", async () => {
  await kimBrings(kickOf(alice));
  const asked = await selectHead(db);
  await world.stored.store(alice, { join: { [roomId]: timeline(world.stored.member(alice.userId)) } });
  await forget(asked);
  await kimBrings(kickOf(alice));
  await world.caughtUp();
  expect(roomIn(await world.sync(alice, byList()), roomId)?.membership).toBe(Membership.leave);
});

test("who forgot a room and is sent away once more sees it again, be the return unseen", async () => {
  await kimBrings(kickOf(alice));
  await forget(await selectHead(db));
  await world.stored.store(alice, { leave: { [roomId]: timeline(kickOf(alice, "ban")) } });
  await world.caughtUp();
  expect(roomIn(await world.sync(alice, byList()), roomId)?.membership).toBe(Membership.ban);
});
