import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import { Visibility } from "../../src/model/visibility.ts";
import { expireHistoryWants, HISTORY_CHANNEL, settleHistory, takeHistory } from "../../src/store/history-wants.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { timeline } from "../support/stored-world.ts";
import { eventsOf, gone, roomIn, SyncWorld } from "../support/sync-world.ts";
import { until } from "../support/until.ts";

let db: TestDatabase;
const bob = "@bob:test" as UserId;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const subscribed = (roomId: string, limit = 20): Partial<SyncRequest> =>
  request({}, new Map([[roomId as RoomId, config(limit)]]));

/** Alice's room, whose last two events follow a hole. */
async function start() {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const alice = await stored.user("alice");
  const roomId = stored.roomId();
  const begin = stored.newRoom([alice.userId, bob]);
  const missing = [1, 2, 3].map(() => stored.message(bob));
  const known = [1, 2].map(() => stored.message(bob));
  await stored.store(alice, { join: { [roomId]: begin } });
  const cut = { events: known, limited: true, prev_batch: "before the hole" };
  await stored.store(alice, { join: { [roomId]: { timeline: cut } } });
  await world.caughtUp();
  const whole = [...(begin.timeline?.events ?? []), ...missing, ...known];
  const ids = (events: readonly { readonly event_id: string }[]) => events.map(({ event_id }) => event_id);
  /** Somebody's stream has what is missing. */
  const fill = async () => {
    const other = await stored.user("other");
    await stored.store(other, { join: { [roomId]: timeline(...whole.slice(1)) } });
    await world.caughtUp();
  };
  /** As a process that polls for Alice does. */
  const settle = async (againAfterSeconds = 3_600) => {
    const [want] = await takeHistory(db, alice.userNid);
    await settleHistory(db, alice.userNid, want!, againAfterSeconds);
    await world.caughtUp();
    return want;
  };
  const waits = (outcome: string) => world.metric("slidecar_history_waits_total", { outcome });
  return { world, alice, roomId, fill, settle, waits, known: ids(known), whole: ids(whole) };
}

test("an answer that lacks history waits until it was asked for, and has what came", async () => {
  const { world, alice, roomId, fill, settle, waits, known, whole } = await start();
  await using _world = world;
  const told: string[] = [];
  await using _listening = await db.listen(
    HISTORY_CHANNEL,
    (payload) => told.push(payload),
    () => {},
  );
  const asked = world.db.hold("ask-history");
  const answer = world.sync(alice, subscribed(roomId));
  const letGo = await asked;
  await fill();
  const { shared: visibility } = Visibility;
  const want = { roomId, token: "before the hole", anchor: known[0], visibility, events: 18 };
  expect(await settle()).toMatchObject(want);
  letGo();
  const room = roomIn(await answer, roomId);
  expect<unknown>([eventsOf(room), room?.timeline?.limited]).toEqual([whole, false]);
  expect(await waits("settled")).toBe(1);
  await until(() => told.length > 0);
  expect(told).toEqual([String(alice.userNid)]);
});

test("an answer is given without history that does not come in time, and asks no more for a while", async () => {
  const { world, alice, roomId, settle, waits, known } = await start();
  await using _world = world;
  const first = roomIn(await world.sync(alice, { ...subscribed(roomId), timeoutMs: 10 }), roomId);
  expect<unknown>([eventsOf(first), first?.timeline?.limited]).toEqual([known, true]);
  expect(await waits("late")).toBe(1);
  await settle();
  world.db.asked();
  expect(eventsOf(roomIn(await world.sync(alice, subscribed(roomId)), roomId))).toEqual(known);
  expect(world.db.asked().filter((name) => name.includes("history"))).toEqual([]);
  // A process that knows nothing of it looks, and finds it settled.
  await world.restart();
  expect(eventsOf(roomIn(await world.sync(alice, subscribed(roomId)), roomId))).toEqual(known);
  expect(await takeHistory(db, alice.userNid)).toEqual([]);
});

test("what was settled is asked for again when its time has come, and is forgotten when nobody does", async () => {
  const { world, alice, roomId, settle } = await start();
  await using _world = world;
  const ask = () => world.sync(alice, { ...subscribed(roomId), timeoutMs: 10 });
  await ask();
  const want = await settle(0);
  await world.restart();
  await ask();
  expect(await settle(3_600)).toEqual(want);
  const rows = () => db.query({ text: "SELECT FROM history_wants WHERE user_nid = $1", values: [alice.userNid] });
  await expireHistoryWants(db);
  expect(await rows()).toHaveLength(1);
  await settleHistory(db, alice.userNid, want!, 0);
  await expireHistoryWants(db);
  expect(await rows()).toHaveLength(0);
});

test("a request whose client has gone does not keep the next one from waiting", async () => {
  const { world, alice, roomId, fill, settle, whole } = await start();
  await using _world = world;
  await expect(world.sync(alice, subscribed(roomId), gone())).rejects.toThrow();
  const asked = world.db.hold("ask-history");
  const answer = world.sync(alice, subscribed(roomId));
  const letGo = await asked;
  await fill();
  await settle();
  letGo();
  expect(eventsOf(roomIn(await answer, roomId))).toEqual(whole);
});

test("an answer that lacks nothing, or is of a list, asks for nothing", async () => {
  const { world, alice, roomId, known } = await start();
  await using _world = world;
  world.db.asked();
  expect(eventsOf(roomIn(await world.sync(alice, subscribed(roomId, 2)), roomId))).toEqual(known);
  expect(eventsOf(roomIn(await world.sync(alice, request({ all: list("all", config(20)) })), roomId))).toEqual(known);
  expect(world.db.asked().filter((name) => name.includes("history"))).toEqual([]);
});

test("a client that has the room is not sent what came before it, and is when it asks for more", async () => {
  const { world, alice, roomId, fill, whole } = await start();
  await using _world = world;
  const lists = request({ all: list("all", config(2)) });
  const first = await world.sync(alice, lists);
  await fill();
  const second = await world.sync(alice, { ...lists, pos: first.pos });
  expect(roomIn(second, roomId)).toBeUndefined();
  const opened = roomIn(await world.sync(alice, { ...subscribed(roomId), pos: second.pos }), roomId);
  expect(opened).toMatchObject({ isInitial: false, isTimelineExpanded: true, timeline: { numLive: 0 } });
  expect(eventsOf(opened)).toEqual(whole);
});

test("an answer is given as it is when history cannot be asked for", async () => {
  const { world, alice, roomId, known } = await start();
  await using _world = world;
  world.db.fail("ask-history", 1);
  expect(eventsOf(roomIn(await world.sync(alice, subscribed(roomId)), roomId))).toEqual(known);
  expect(world.logLines).toMatchObject([{ msg: "history could not be asked for; an answer goes without" }]);
});
