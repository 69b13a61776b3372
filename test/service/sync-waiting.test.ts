import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { UserId } from "../../src/model/ids.ts";
import { RequestEndedError } from "../../src/model/request-ended-error.ts";
import { announceJoined, markWindow } from "../../src/store/first-window.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { timeline } from "../support/stored-world.ts";
import { eventsOf, gone, roomIn, SyncWorld } from "../support/sync-world.ts";
import { until } from "../support/until.ts";

/** Nobody waits so long: what ends a poll that may is always something else. */
const LONG_MS = 30_000;
/** How long nothing is expected to come. */
const NOTHING_COMES_MS = 300;

let db: TestDatabase;
const bob = "@bob:test" as UserId;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const lists = (more: Partial<SyncRequest> = {}): Partial<SyncRequest> =>
  request({ main: list([[0, 19]], config(5, "m.room.name")) }, undefined, more);

async function start(options: Parameters<typeof SyncWorld.start>[1] = {}) {
  const world = await SyncWorld.start(db, options);
  const { stored } = world;
  const alice = await stored.user("alice");
  const newRoom = async () => {
    const roomId = stored.roomId();
    await stored.store(alice, { join: { [roomId]: stored.newRoom([alice.userId, bob]) } });
    return roomId;
  };
  const roomId = await newRoom();
  await world.caughtUp();
  const send = async (room = roomId) => {
    const message = stored.message(bob);
    await stored.store(alice, { join: { [room]: timeline(message) } });
    await world.caughtUp();
    return message;
  };
  return { world, stored, alice, roomId, newRoom, send };
}

const connectionRows = async () =>
  (await db.query({ text: "SELECT position FROM connection_deltas ORDER BY position" })).length;

test("a request without news waits, and a message in a room of its window ends the wait", async () => {
  const { world, alice, roomId, send } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const answer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }));
  await world.waiting();
  const message = await send();
  expect(eventsOf(roomIn(await answer, roomId))).toEqual([message.event_id]);
  expect(await world.metric("slidecar_waiting_requests")).toBe(0);
  expect(await world.metric("slidecar_upstream_to_answer_seconds")).toBeGreaterThanOrEqual(0);
});

test("a request that has news is answered at once, whatever its timeout", async () => {
  const { world, alice, send } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  await send();
  expect((await world.sync(alice, lists({ pos, timeoutMs: LONG_MS }))).response.rooms).toHaveLength(1);
});

test("a first request is answered at once, with nothing too", async () => {
  await using world = await SyncWorld.start(db);
  const kim = await world.stored.user("kim");
  await world.stored.store(kim, {});
  const { response } = await world.sync(kim, lists({ timeoutMs: LONG_MS }));
  expect([response.rooms, response.lists.get("main")?.count]).toEqual([[], 0]);
});

test("a change that is no news to the connection does not end the wait, and news after it do", async () => {
  const { world, alice, roomId, newRoom, send } = await start();
  await using _world = world;
  const other = await newRoom();
  await world.caughtUp();
  const subscribed = request({}, new Map([[roomId, config(5)]]));
  const { pos } = await world.sync(alice, subscribed);
  const answer = world.sync(alice, { ...subscribed, pos, timeoutMs: LONG_MS });
  await world.waiting();
  world.db.asked();
  await send(other);
  await send(other);
  const message = await send();
  const found = await answer;
  expect(found.response.rooms).toHaveLength(1);
  expect(eventsOf(roomIn(found, roomId))).toEqual([message.event_id]);
});

test("when its time is over a request is answered with nothing, and the client goes on from there", async () => {
  const { world, alice, roomId, send } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const empty = await world.sync(alice, lists({ pos, timeoutMs: NOTHING_COMES_MS }));
  expect(empty.response.rooms).toEqual([]);
  const message = await send();
  const next = await world.sync(alice, lists({ pos: empty.pos, timeoutMs: LONG_MS }));
  expect(eventsOf(roomIn(next, roomId))).toEqual([message.event_id]);
  expect(await world.metric("slidecar_sync_requests_total", { outcome: "timeout" })).toBeGreaterThan(0);
});

test("a message that is stored between the reading and the waiting ends the wait", async () => {
  const { world, alice, roomId, send, newRoom } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  await newRoom();
  await world.caughtUp();
  // A room that this process has not in memory yet is read, and the answer is held there.
  const isRead = world.db.hold("select-newest");
  const subscribed = { ...lists({ pos, timeoutMs: LONG_MS }) };
  const answer = world.sync(alice, subscribed);
  const letGo = await isRead;
  const message = await send();
  letGo();
  const first = await answer;
  const rest = roomIn(first, roomId) === undefined ? await world.sync(alice, { ...subscribed, pos: first.pos }) : first;
  expect(eventsOf(roomIn(rest, roomId))).toEqual([message.event_id]);
});

test("a message that is stored while an empty answer is computed ends the wait", async () => {
  const { world, alice, roomId, send } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  await world.restart();
  const isRead = world.db.hold("reader-rooms");
  const answer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }));
  const letGo = await isRead;
  const message = await send();
  letGo();
  expect(eventsOf(roomIn(await answer, roomId))).toEqual([message.event_id]);
});

test("a room that is new to the reader ends the wait", async () => {
  const { world, alice, newRoom } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const answer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }));
  await world.waiting();
  const roomId = await newRoom();
  await world.caughtUp();
  expect(roomIn(await answer, roomId)?.isInitial).toBe(true);
});

test("unread counts that fall to zero end the wait, as another device read the room", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  const counted = async (count: number) => {
    const counts = { notification_count: count, highlight_count: 0 };
    await stored.store(alice, { join: { [roomId]: { unread_notifications: counts } } });
    await world.caughtUp();
  };
  await counted(3);
  const { pos } = await world.sync(alice, lists());
  const answer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }));
  await world.waiting();
  await counted(0);
  expect(roomIn(await answer, roomId)?.notificationCount).toBe(0);
});

test("a newer request of the same connection is served, and the older one is answered", async () => {
  const { world, alice, roomId, send } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const older = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }));
  await world.waiting();
  const newer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }));
  expect((await older).response.rooms).toEqual([]);
  await world.waiting();
  const message = await send();
  expect(eventsOf(roomIn(await newer, roomId))).toEqual([message.event_id]);
  expect(await world.metric("slidecar_sync_requests_total", { outcome: "superseded" })).toBe(1);
});

test("requests of other connections of the device wait beside each other", async () => {
  const { world, alice, send } = await start();
  await using _world = world;
  const polls = await Promise.all(
    ["one", "two"].map(async (connId) => {
      const { pos } = await world.sync(alice, lists({ connId }));
      return () => world.sync(alice, lists({ connId, pos, timeoutMs: LONG_MS }));
    }),
  );
  const answers = polls.map((poll) => poll());
  await world.waiting(2);
  await send();
  for (const { response } of await Promise.all(answers)) expect(response.rooms).toHaveLength(1);
});

test("of a client that has gone nothing is saved", async () => {
  const { world, alice, newRoom } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const left = new AbortController();
  const answer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }), left.signal);
  await world.waiting();
  const before = await connectionRows();
  const isRead = world.db.hold("select-newest");
  await newRoom();
  await world.caughtUp();
  const letGo = await isRead;
  left.abort(new RequestEndedError("client"));
  letGo();
  await expect(answer).rejects.toThrow(RequestEndedError);
  expect(await connectionRows()).toBe(before);
  await expect(world.sync(alice, lists({ pos }), gone())).rejects.toThrow(RequestEndedError);
  expect(await connectionRows()).toBe(before);
});

test("at shutdown who waits is answered with what there is", async () => {
  const { world, alice } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const stopping = new AbortController();
  const answer = world.sync(alice, lists({ pos, timeoutMs: LONG_MS }), stopping.signal);
  await world.waiting();
  stopping.abort(new RequestEndedError("shutdown"));
  expect((await answer).response.rooms).toEqual([]);
});

test("a device without any data waits for its first sync", async () => {
  await using world = await SyncWorld.start(db, { initialWaitMs: LONG_MS });
  const kim = await world.stored.user("kim");
  const answer = world.sync(kim, lists({ timeoutMs: LONG_MS }));
  let looks = 0;
  await until(() => {
    looks += world.db.asked().filter((name) => name === "see-device").length;
    return looks === 2;
  });
  const roomId = world.stored.roomId();
  await world.stored.store(kim, { join: { [roomId]: world.stored.newRoom([kim.userId]) } }, { isCatchUp: true });
  await world.caughtUp();
  expect(roomIn(await answer, roomId)?.isInitial).toBe(true);
});

test("a first sync that ends just before the device waits for it is not missed", async () => {
  await using world = await SyncWorld.start(db, { initialWaitMs: LONG_MS });
  const kim = await world.stored.user("kim");
  const isRead = world.db.hold("see-device");
  const answer = world.sync(kim, lists({ timeoutMs: LONG_MS }));
  const letGo = await isRead;
  const roomId = world.stored.roomId();
  await world.stored.store(kim, { join: { [roomId]: world.stored.newRoom([kim.userId]) } }, { isCatchUp: true });
  await world.caughtUp();
  letGo();
  expect(roomIn(await answer, roomId)?.isInitial).toBe(true);
});

/** Kim's first sync is under way; so many of her rooms are stored already: those of Alice. */
async function arriving(options: Parameters<typeof SyncWorld.start>[1]) {
  const { world, alice, ...rest } = await start(options);
  const kim = await world.stored.user("kim");
  const shareRooms = async () => {
    const columns = "room, membership, sender, nid, batch, since_batch";
    const text = `INSERT INTO memberships (user_nid, ${columns}) SELECT $1, ${columns} FROM memberships WHERE user_nid = $2`;
    await db.query({ text, values: [kim.userNid, alice.userNid] });
  };
  return { world, kim, shareRooms, ...rest };
}

test.each([
  ["as long as is configured", LONG_MS],
  ["as long as is configured, without a timeout of its own too", 0],
])("a device whose first sync does not come waits %s, when there is a room to show", async (_how, timeoutMs) => {
  const { world, kim, shareRooms, roomId } = await arriving({ initialWaitMs: NOTHING_COMES_MS });
  await using _world = world;
  await shareRooms();
  const startedMs = performance.now();
  const { response } = await world.sync(kim, lists({ timeoutMs }));
  expect(performance.now() - startedMs).toBeGreaterThanOrEqual(NOTHING_COMES_MS - 5);
  expect(response.rooms.map((room) => room.roomId)).toEqual([roomId]);
});

test("with no room to show a first request is held, until there is one; what was announced counts", async () => {
  const { world, kim, shareRooms, roomId } = await arriving({ initialWaitMs: 1 });
  await using _world = world;
  const answer = world.sync(kim, lists());
  await until(() => world.db.ran().includes("has-answer"));
  await announceJoined(db, kim.userNid, 7);
  await world.caughtUp();
  await until(() => world.db.ran().includes("has-answer"));
  // Announced first: with the room the request may be answered at once.
  await announceJoined(db, kim.userNid, 8);
  await shareRooms();
  await world.caughtUp();
  const { response } = await answer;
  expect(response.rooms.map((room) => room.roomId)).toEqual([roomId]);
  expect(response.lists.get("main")?.count).toBe(8);
});

test("a first window ends the wait, and what comes after it is news as ever", async () => {
  const { world, kim, shareRooms, roomId, send } = await arriving({ initialWaitMs: LONG_MS });
  await using _world = world;
  const answer = world.sync(kim, lists({ timeoutMs: LONG_MS }));
  await until(() => world.db.ran().includes("see-device"));
  await shareRooms();
  await announceJoined(db, kim.userNid, 3);
  await markWindow(db, { deviceNid: kim.deviceNid, epoch: 0 });
  await world.caughtUp();
  const first = await answer;
  expect(roomIn(first, roomId)?.isInitial).toBe(true);
  const next = world.sync(kim, lists({ pos: first.pos, timeoutMs: LONG_MS }));
  await world.waiting();
  const message = await send();
  expect(eventsOf(roomIn(await next, roomId))).toEqual([message.event_id]);
});

test("the window of a device that was synced meanwhile is no news", async () => {
  const { world, alice } = await start();
  await using _world = world;
  expect(await markWindow(db, { deviceNid: alice.deviceNid, epoch: 0 })).toBeUndefined();
});

test("a device that was idle waits for its catch-up", async () => {
  const { world, stored, alice, roomId } = await start({ catchUpWaitMs: LONG_MS });
  await using _world = world;
  const answer = world.sync(alice, lists({ timeoutMs: LONG_MS }));
  await until(() => world.db.ran().includes("see-device"));
  const message = stored.message(bob);
  await stored.store(alice, { join: { [roomId]: timeline(message) } }, { isCatchUp: true });
  await world.caughtUp();
  expect(eventsOf(roomIn(await answer, roomId))?.at(-1)).toBe(message.event_id);
});

test("a device whose catch-up is under way waits for it, whichever request it was begun for", async () => {
  const { world, stored, alice, roomId } = await start({ catchUpWaitMs: LONG_MS });
  await using _world = world;
  await world.poll(alice);
  // As when somebody has just begun to poll it.
  const text = "UPDATE devices SET caught_up_epoch = epoch - 1 WHERE device_nid = $1";
  await db.query({ text, values: [alice.deviceNid] });
  const answer = world.sync(alice, lists());
  await until(() => world.db.ran().includes("see-device"));
  const message = stored.message(bob);
  await stored.store(alice, { join: { [roomId]: timeline(message) } }, { isCatchUp: true });
  await world.caughtUp();
  expect(eventsOf(roomIn(await answer, roomId))?.at(-1)).toBe(message.event_id);
  expect(roomIn(await world.sync(alice, lists()), roomId)?.isInitial).toBe(true);
});

test("a device that is polled waits for nothing", async () => {
  const { world, alice, roomId } = await start({ catchUpWaitMs: LONG_MS, initialWaitMs: LONG_MS });
  await using _world = world;
  await world.poll(alice);
  expect(roomIn(await world.sync(alice, lists()), roomId)?.isInitial).toBe(true);
});

test("a client that goes while its device is waited for is let go, and nothing is saved", async () => {
  await using world = await SyncWorld.start(db, { initialWaitMs: LONG_MS });
  const kim = await world.stored.user("kim");
  const left = new AbortController();
  const answer = world.sync(kim, lists(), left.signal);
  await until(() => world.db.ran().includes("see-device"));
  const before = await connectionRows();
  left.abort(new RequestEndedError("client"));
  await expect(answer).rejects.toThrow(RequestEndedError);
  expect(await connectionRows()).toBe(before);
});
