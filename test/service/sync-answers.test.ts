import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import { ClientError } from "../../src/model/client-error.ts";
import type { UserId } from "../../src/model/ids.ts";
import { UnavailableError } from "../../src/model/unavailable-error.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { timeline } from "../support/stored-world.ts";
import { eventsOf, roomIn, SyncWorld } from "../support/sync-world.ts";
import { until } from "../support/until.ts";

let db: TestDatabase;
const bob = "@bob:test" as UserId;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const lists = (last = 19): Partial<SyncRequest> =>
  request({ main: list([[0, last]], config(5, "m.room.create", "m.room.name", "lazy")) });

/** Alice, in rooms with Bob. */
async function start(rooms = 1) {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const alice = await stored.user("alice");
  const roomIds = Array.from({ length: rooms }, () => stored.roomId());
  for (const roomId of roomIds) {
    const name = stored.state("m.room.name", bob, { name: roomId });
    await stored.store(alice, { join: { [roomId]: stored.newRoom([alice.userId, bob], [name]) } });
  }
  await world.caughtUp();
  const send = async (roomId: string) => {
    const message = stored.message(bob);
    await stored.store(alice, { join: { [roomId]: timeline(message) } });
    await world.caughtUp();
    return message;
  };
  return { world, stored, alice, roomIds, roomId: roomIds[0]!, send };
}

const rejectsAsUnknown = async (answer: Promise<unknown>) => {
  const error: unknown = await answer.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(ClientError);
  expect((error as ClientError).errcode).toBe("M_UNKNOWN_POS");
};

test("a first answer counts all rooms and tells those in the window, the newest first", async () => {
  const { world, alice, roomIds, send } = await start(3);
  await using _world = world;
  await send(roomIds[1]!);
  const { response, pos } = await world.sync(alice, lists(1));
  expect(response.lists.get("main")?.count).toBe(3);
  expect(response.rooms.map(({ roomId }) => roomId)).toEqual([roomIds[1], roomIds[2]]);
  expect(response.rooms.every(({ isInitial, name }) => isInitial && name?.startsWith("!"))).toBe(true);
  expect(pos).toMatch(/^[\w-]+$/);
});

test("a first answer has the newest events, the state that is asked for and the members that they need", async () => {
  const { world, alice, roomId, send } = await start();
  await using _world = world;
  const sent = await send(roomId);
  const room = roomIn(await world.sync(alice, lists()), roomId)!;
  expect(eventsOf(room)?.at(-1)).toBe(sent.event_id);
  expect(room.requiredState.map(({ type }) => type)).toEqual(
    expect.arrayContaining(["m.room.create", "m.room.name", "m.room.member"]),
  );
  expect([room.membership, room.joinedCount, room.timeline?.limited]).toEqual([1, 2, false]);
});

test("whose device sent an event is looked up only for events that the answer tells", async () => {
  const { world, stored, alice, roomId, send } = await start();
  await using _world = world;
  const own = stored.message(alice.userId);
  await stored.store(alice, { join: { [roomId]: timeline(own) } });
  await world.caughtUp();
  world.db.asked();
  const { pos } = await world.sync(alice, lists());
  expect(world.db.asked()).toContain("select-transaction-ids");
  const sent = await send(roomId);
  world.db.asked();
  const answer = await world.sync(alice, { ...lists(), pos });
  expect(eventsOf(roomIn(answer, roomId))).toEqual([sent.event_id]);
  expect(world.db.asked()).not.toContain("select-transaction-ids");
  const more = request({ main: list([[0, 19]], config(6, "m.room.create", "m.room.name", "lazy")) });
  await send(roomId);
  world.db.asked();
  const grown = await world.sync(alice, { ...more, pos: answer.pos });
  expect(eventsOf(roomIn(grown, roomId))).toContain(own.event_id);
  expect(world.db.asked()).toContain("select-transaction-ids");
});

test("the next answer tells what came since, of rooms where something came", async () => {
  const { world, alice, roomIds, send } = await start(2);
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const sent = await send(roomIds[1]!);
  const { response } = await world.sync(alice, { ...lists(), pos });
  expect(response.rooms.map(({ roomId, isInitial }) => [roomId, isInitial])).toEqual([[roomIds[1], false]]);
  expect(eventsOf(response.rooms[0])).toEqual([sent.event_id]);
  expect(response.rooms[0]?.requiredState).toEqual([]);
});

test("an answer that was lost is given again, and what came meanwhile with it", async () => {
  const { world, alice, roomId, send } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  const first = await send(roomId);
  await world.sync(alice, { ...lists(), pos });
  const second = await send(roomId);
  const again = await world.sync(alice, { ...lists(), pos });
  expect(eventsOf(roomIn(again, roomId))).toEqual([first.event_id, second.event_id]);
  expect((await world.sync(alice, { ...lists(), pos: again.pos })).response.rooms).toEqual([]);
});

test("a retry with another body is computed anew", async () => {
  const { world, alice, roomIds } = await start(2);
  await using _world = world;
  const { pos } = await world.sync(alice, lists(0));
  await world.sync(alice, { ...lists(0), pos });
  const wider = await world.sync(alice, { ...lists(1), pos });
  expect(wider.response.rooms.map(({ roomId }) => roomId)).toEqual([roomIds[0]]);
});

test("a pos of the answer before last is unknown", async () => {
  const { world, alice } = await start(2);
  await using _world = world;
  const first = await world.sync(alice, lists(0));
  const second = await world.sync(alice, { ...lists(1), pos: first.pos });
  await world.sync(alice, { ...lists(1), pos: second.pos });
  await rejectsAsUnknown(world.sync(alice, { ...lists(1), pos: first.pos }));
  expect(await world.metric("slidecar_connections_unknown_pos_total", { reason: "no_connection" })).toBe(1);
});

test.each([["garbage"], [""], ["s123_456"]])("the pos %j is unknown", async (pos) => {
  const { world, alice } = await start();
  await using _world = world;
  await rejectsAsUnknown(world.sync(alice, { ...lists(), pos }));
});

test("a pos is unknown to another user, another device and another conn_id", async () => {
  const { world, stored, alice } = await start();
  await using _world = world;
  const laptop = await stored.user("alice", "LAPTOP");
  const kim = await stored.user("kim");
  const { pos } = await world.sync(alice, lists());
  for (const user of [laptop, kim]) await rejectsAsUnknown(world.sync(user, { ...lists(), pos }));
  await rejectsAsUnknown(world.sync(alice, { ...lists(), pos, connId: "other" }));
  expect((await world.sync(alice, { ...lists(), pos })).response.rooms).toEqual([]);
});

test("after a restart a client goes on with the same pos, and is told what came meanwhile", async () => {
  const { world, stored, alice, roomId, send } = await start();
  await using _world = world;
  const first = await world.sync(alice, lists());
  await send(roomId);
  const second = await world.sync(alice, { ...lists(), pos: first.pos });
  const meanwhile = stored.message(bob);
  await stored.store(alice, { join: { [roomId]: timeline(meanwhile) } });
  await world.restart();
  const third = await world.sync(alice, { ...lists(), pos: second.pos });
  expect(third.response.rooms).toHaveLength(1);
  expect(eventsOf(roomIn(third, roomId))).toEqual([meanwhile.event_id]);
});

test("a request that is asked before memory is loaded waits for it", async () => {
  await using world = await SyncWorld.start(db, { isStopped: true });
  const alice = await world.stored.user("alice");
  const roomId = world.stored.roomId();
  await world.stored.store(alice, { join: { [roomId]: world.stored.newRoom([alice.userId]) } });
  const answer = world.sync(alice, lists());
  await until(() => world.db.asked().includes("see-device"));
  await world.start();
  expect(roomIn(await answer, roomId)?.isInitial).toBe(true);
});

test("a request with a pos that this process has not come to is answered once it has", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  await using other = await SyncWorld.start(db);
  const { pos } = await world.sync(alice, lists());
  const message = stored.message(bob);
  await stored.store(alice, { join: { [roomId]: timeline(message) } });
  await other.caughtUp();
  const ahead = await other.sync(alice, { ...lists(), pos });
  expect(eventsOf(roomIn(ahead, roomId))).toEqual([message.event_id]);
  const answer = world.sync(alice, { ...lists(), pos: ahead.pos });
  await until(() => world.db.asked().includes("use-connection"));
  await world.caughtUp();
  expect((await answer).response.rooms).toEqual([]);
});

test("while the database cannot be reached, clients are told to try again", async () => {
  const { world, alice } = await start();
  await using _world = world;
  const { pos } = await world.sync(alice, lists());
  world.db.fail("use-connection", 1, "unavailable");
  await expect(world.sync(alice, { ...lists(), pos })).rejects.toThrow(UnavailableError);
  expect((await world.sync(alice, { ...lists(), pos })).response.rooms).toEqual([]);
});

test("with everything in memory an idle answer, and one with news, ask the database nothing", async () => {
  const { world, alice, roomId, send } = await start(3);
  await using _world = world;
  await world.poll(alice);
  const first = await world.sync(alice, lists());
  const second = await world.sync(alice, { ...lists(), pos: first.pos });
  world.db.asked();
  const idle = await world.sync(alice, { ...lists(), pos: second.pos });
  expect(world.db.asked()).toEqual([]);
  await send(roomId);
  world.db.asked();
  const news = await world.sync(alice, { ...lists(), pos: idle.pos });
  expect(news.response.rooms).toHaveLength(1);
  // What is told of a live room needs no memory: it stays live.
  expect(world.db.asked()).toEqual([]);
});

test("a first answer with everything in memory asks the database once", async () => {
  const { world, alice, send, roomIds } = await start(3);
  await using _world = world;
  await world.poll(alice);
  await world.sync(alice, lists());
  for (const roomId of roomIds) for (let count = 0; count < 5; count++) await send(roomId);
  await world.sync(alice, lists());
  world.db.asked();
  await world.sync(alice, lists());
  expect(world.db.asked()).toEqual(["insert-root"]);
});

test("a user sees no message of whom they ignore, whoever's stream brings it, and sees them again afterwards", async () => {
  const { world, stored, alice, roomId } = await start();
  await using _world = world;
  const kim = await stored.user("kim");
  const arrival = timeline(stored.member(kim.userId));
  for (const user of [alice, kim]) await stored.store(user, { join: { [roomId]: arrival } });
  const ignore = (...users: readonly UserId[]) => {
    const ignored_users = Object.fromEntries(users.map((user) => [user, {}]));
    return stored.store(kim, {}, { accountData: [{ type: "m.ignored_user_list", content: { ignored_users } }] });
  };
  const say = async (...senders: readonly UserId[]) => {
    const messages = senders.map((sender) => stored.message(sender));
    await stored.store(alice, { join: { [roomId]: timeline(...messages) } });
    await world.caughtUp();
    return messages.map(({ event_id }) => event_id);
  };
  await world.caughtUp();
  let { pos } = await world.sync(kim, lists());
  // Nobody can ignore themselves: homeservers leave that out.
  await ignore(bob, kim.userId);
  const [fromAlice, , own] = await say(alice.userId, bob, kim.userId);
  const seen = await world.sync(kim, { ...lists(), pos });
  expect(eventsOf(roomIn(seen, roomId))).toEqual([fromAlice, own]);
  pos = seen.pos;
  await say(bob);
  const nothing = await world.sync(kim, { ...lists(), pos });
  expect(nothing.response.rooms).toEqual([]);
  const fresh = eventsOf(roomIn(await world.sync(kim, lists()), roomId));
  expect(fresh?.slice(-2)).toEqual([fromAlice, own]);
  await ignore();
  const [again] = await say(bob);
  const after = await world.sync(kim, { ...lists(), pos: nothing.pos });
  expect(eventsOf(roomIn(after, roomId))).toContain(again);
});
