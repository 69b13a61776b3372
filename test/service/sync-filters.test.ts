import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { ListFilters } from "../../src/engine/request.ts";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, NO_FILTERS, request } from "../support/engine.ts";
import { type StreamUser, timeline } from "../support/stored-world.ts";
import { roomIn, SyncWorld } from "../support/sync-world.ts";

/** Nobody waits so long: what ends a poll that may is always something else. */
const LONG_MS = 30_000;

const bob = "@bob:test" as UserId;
let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

async function start() {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const alice = await stored.user("alice");
  const newRoom = async (user: StreamUser = alice, create: object = {}) => {
    const roomId = stored.roomId();
    const first = stored.state("m.room.create", user.userId, { room_version: "11", ...create });
    const events = [first, stored.member(user.userId), stored.member(bob)];
    await stored.store(user, { join: { [roomId]: { timeline: { events, limited: false } } } });
    return roomId;
  };
  const asking = (filters: Partial<ListFilters>, pos?: string) =>
    request({ main: list([[0, 19]], config(1), { ...NO_FILTERS, ...filters }) }, undefined, {
      pos,
      timeoutMs: LONG_MS,
    });
  /** The rooms of a list that nobody asked for before. */
  const listed = async (filters: Partial<ListFilters>) => {
    await world.caughtUp();
    const { response } = await world.sync(alice, asking(filters));
    return { count: response.lists.get("main")?.count, rooms: response.rooms.map(({ roomId }) => roomId) };
  };
  const tag = async (roomId: RoomId, ...tags: readonly string[]) => {
    const content = { tags: Object.fromEntries(tags.map((name) => [name, {}])) };
    await stored.store(alice, { join: { [roomId]: { account_data: { events: [{ type: "m.tag", content }] } } } });
    await world.caughtUp();
  };
  return { world, stored, alice, newRoom, asking, listed, tag };
}

test("a room that is tagged comes into a list of that tag at once, and goes with the tag", async () => {
  const { world, alice, newRoom, asking, tag, listed } = await start();
  await using _world = world;
  const [roomId, other] = [await newRoom(), await newRoom()];
  await tag(other, "u.work");
  await world.caughtUp();
  const favourites = { tags: ["m.favourite"] };
  const { pos, response } = await world.sync(alice, asking(favourites));
  expect([response.rooms, response.lists.get("main")?.count]).toEqual([[], 0]);
  const waiting = world.sync(alice, asking(favourites, pos));
  await world.waiting();
  await tag(roomId, "m.favourite");
  const tagged = await waiting;
  expect(roomIn(tagged, roomId)?.isInitial).toBe(true);
  expect(tagged.response.lists.get("main")?.count).toBe(1);
  await tag(roomId);
  expect(await listed(favourites)).toEqual({ count: 0, rooms: [] });
  expect(await listed({ notTags: ["u.work"] })).toEqual({ count: 1, rooms: [roomId] });
});

test("rooms of direct messages are those that the account data of the reader names, and say so", async () => {
  const { world, stored, alice, newRoom, asking, listed } = await start();
  await using _world = world;
  const [roomId, other] = [await newRoom(), await newRoom()];
  await world.caughtUp();
  const { pos } = await world.sync(alice, asking({ isDm: true }));
  const waiting = world.sync(alice, asking({ isDm: true }, pos));
  await world.waiting();
  const content = { [bob]: [roomId, "!elsewhere:test", 7], "@broken:test": "no list" };
  await stored.store(alice, {}, { accountData: [{ type: "m.direct", content }] });
  await world.caughtUp();
  expect(roomIn(await waiting, roomId)).toMatchObject({ isInitial: true, isDm: true });
  expect(await listed({ isDm: true })).toEqual({ count: 1, rooms: [roomId] });
  expect(await listed({ isDm: false })).toEqual({ count: 1, rooms: [other] });
});

test("a list of a space has the rooms that the space names, as they change", async () => {
  const { world, stored, alice, newRoom, asking, listed } = await start();
  await using _world = world;
  const space = await newRoom(alice, { type: "m.space" });
  const [first, second] = [await newRoom(), await newRoom()];
  const name = async (child: RoomId, content: object) => {
    const event = stored.state("m.space.child", bob, content, child);
    await stored.store(alice, { join: { [space]: timeline(event) } });
    await world.caughtUp();
  };
  await name(first, { via: ["test"] });
  await name(second, { suggested: true });
  await world.caughtUp();
  const { pos, response } = await world.sync(alice, asking({ spaces: [space] }));
  expect(response.rooms.map(({ roomId }) => roomId)).toEqual([first]);
  const waiting = world.sync(alice, asking({ spaces: [space] }, pos));
  await world.waiting();
  await name(second, { via: ["test"] });
  expect(roomIn(await waiting, second)?.isInitial).toBe(true);
  await name(first, {});
  expect(await listed({ spaces: [space] })).toEqual({ count: 1, rooms: [second] });
});

test("a space that the reader is not in lists nothing, whatever others know of it", async () => {
  const { world, stored, newRoom, listed } = await start();
  await using _world = world;
  const carol = await stored.user("carol");
  const space = await newRoom(carol, { type: "m.space" });
  const own = await newRoom();
  const child = stored.state("m.space.child", bob, { via: ["test"] }, own);
  await stored.store(carol, { join: { [space]: timeline(child) } });
  expect(await listed({ spaces: [space] })).toEqual({ count: 0, rooms: [] });
});
