import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { UserId } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { roomIn, SyncWorld } from "../support/sync-world.ts";

const BOB = "@bob:test" as UserId;

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});
afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const everything = (): Partial<SyncRequest> => request({ main: list([[0, 19]], config(20, "* *", "m.room.member *")) });

/** Alice, in a room with Bob that has a name, an avatar and a topic; her heroes are known. */
async function start() {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const alice = await stored.user("alice");
  const roomId = stored.roomId();
  const room = stored.newRoom(
    [alice.userId, BOB],
    [
      stored.state("m.room.name", BOB, { name: "Room" }),
      stored.state("m.room.avatar", BOB, { url: "mxc://a/b" }),
      stored.state("m.room.topic", BOB, { topic: "Topic" }),
    ],
  );
  await stored.store(alice, { join: { [roomId]: { ...room, summary: { ...room.summary, "m.heroes": [BOB] } } } });
  await world.caughtUp();
  return { world, stored, alice, roomId };
}

const keys = (...types: string[]) => types.map((type) => ({ type, stateKey: "" }));

test("of state that is taken away a client is told what can be said; a new connection does not have it", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  const before = await world.sync(alice, everything());
  await stored.answer(alice, roomId, { absent: keys("m.room.name", "m.room.avatar", "m.room.topic") });
  await world.caughtUp();
  const news = roomIn(await world.sync(alice, { ...everything(), pos: before.pos }), roomId);
  expect(news).toMatchObject({ isInitial: false, name: undefined, avatar: null, heroes: [{ userId: BOB }] });
  const anew = roomIn(await world.sync(alice, everything()), roomId);
  expect(anew).toMatchObject({ name: undefined, avatar: undefined, heroes: [{ userId: BOB }] });
  expect(anew?.requiredState.map(({ type }) => type).sort()).toEqual([
    "m.room.create",
    "m.room.member",
    "m.room.member",
  ]);
});

test("state that is back is told as any that is new", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  await stored.answer(alice, roomId, { absent: keys("m.room.topic") });
  await world.caughtUp();
  const before = await world.sync(alice, everything());
  const back = stored.state("m.room.topic", BOB, { topic: "Back" });
  await stored.answer(alice, roomId, { state: [back] });
  await world.caughtUp();
  const news = roomIn(await world.sync(alice, { ...everything(), pos: before.pos }), roomId);
  expect(news?.requiredState.map(({ eventId }) => eventId)).toEqual([back.event_id]);
});

test("a departure that no event tells is told by one that is made up, the same each time", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  const before = await world.sync(alice, everything());
  await stored.store(alice, { leave: { [roomId]: { timeline: { events: [], limited: false } } } });
  await world.caughtUp();
  const told = async () => {
    const room = roomIn(await world.sync(alice, { ...everything(), pos: before.pos }), roomId);
    expect(room?.membership).toBe(Membership.leave);
    return room?.requiredState.map(({ body }) => JSON.parse(body.toString()));
  };
  const events = await told();
  expect(events).toEqual([
    {
      type: "m.room.member",
      state_key: alice.userId,
      sender: alice.userId,
      event_id: expect.stringMatching(/^\$departure-\d+-\d+$/),
      origin_server_ts: expect.any(Number),
      content: { membership: "leave" },
    },
  ]);
  expect(await told()).toEqual(events);
});

test("who lost their member event, as another user is told, is out of the room at once", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  const carol = await stored.user("carol");
  const join = stored.member(carol.userId);
  await stored.store(carol, { join: { [roomId]: { timeline: { events: [join], limited: true } } } });
  await world.caughtUp();
  const before = await world.sync(carol, everything());
  await stored.answer(alice, roomId, { absent: [{ type: "m.room.member", stateKey: carol.userId }] });
  const secret = stored.message(BOB);
  await stored.store(alice, { join: { [roomId]: { timeline: { events: [secret], limited: false } } } });
  await world.caughtUp();
  const room = roomIn(await world.sync(carol, { ...everything(), pos: before.pos }), roomId);
  expect(room?.membership).toBe(Membership.leave);
  expect(JSON.stringify(room?.timeline ?? {})).not.toContain(secret.event_id);
});
