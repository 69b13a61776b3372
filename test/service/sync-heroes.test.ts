// Heroes are a reader's own: each stream names others, and another stream may bring a member earlier.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { RoomAnswer } from "../../src/engine/response.ts";
import type { UserId } from "../../src/model/ids.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import type { JoinedBody, WireEvent } from "../support/stored-world.ts";
import { roomIn, SyncWorld } from "../support/sync-world.ts";

const CAROL = "@carol:test" as UserId;

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const everything = (timelineLimit: number) => request({ main: list([[0, 19]], config(timelineLimit, "lazy")) });

const heroesIn = (room: RoomAnswer | undefined) => room?.heroes?.map(({ userId }) => userId);

const joined = (event: WireEvent, ...heroes: readonly UserId[]): JoinedBody => ({
  timeline: { events: [event], limited: false, prev_batch: "p" },
  summary: { "m.joined_member_count": 3, "m.heroes": heroes },
});

/** Alice and Bob in a room without a name, each with the other for a hero. */
async function start() {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const [alice, bob] = [await stored.user("alice"), await stored.user("bob")];
  const roomId = stored.roomId();
  const shared = stored.state("m.room.history_visibility", bob.userId, { history_visibility: "shared" });
  const room = stored.newRoom([bob.userId, alice.userId], [shared]);
  const naming = (hero: UserId) => ({
    join: { [roomId]: { ...room, summary: { ...room.summary, "m.heroes": [hero] } } },
  });
  await stored.store(bob, naming(alice.userId));
  await stored.store(alice, naming(bob.userId));
  await world.caughtUp();
  return { world, stored, alice, bob, roomId };
}

test.each([
  20, 0,
])("heroes that the reader's own stream brings after another one brought the member are told (timeline of %i)", async (limit) => {
  const { world, stored, alice, bob, roomId } = await start();
  await using _world = world;
  const before = await world.sync(alice, everything(limit));
  expect(heroesIn(roomIn(before, roomId))).toEqual([bob.userId]);
  const carol = stored.member(CAROL);
  await stored.store(bob, { join: { [roomId]: joined(carol, alice.userId, CAROL) } });
  await world.caughtUp();
  const between = await world.sync(alice, { ...everything(limit), pos: before.pos });
  expect(heroesIn(roomIn(between, roomId))).toEqual([bob.userId]);

  const waiting = world.sync(alice, { ...everything(limit), pos: between.pos, timeoutMs: 20_000 });
  await stored.store(alice, { join: { [roomId]: joined(carol, bob.userId, CAROL) } });
  await world.caughtUp();
  const after = roomIn(await waiting, roomId);
  const anew = roomIn(await world.sync(alice, everything(limit)), roomId);
  expect(after?.heroes).toEqual(anew?.heroes);
  expect(after?.heroes?.at(-1)).toMatchObject({ userId: CAROL, displayName: expect.stringMatching(/^name/) });
});

test("heroes that come before a client begins, and are told, are not told again with unread counts", async () => {
  const { world, stored, alice, bob, roomId } = await start();
  await using _world = world;
  const before = await world.sync(alice, everything(1));
  const carol = stored.member(CAROL);
  await stored.store(alice, { join: { [roomId]: joined(carol, bob.userId, CAROL) } });
  await world.caughtUp();
  const told = await world.sync(alice, { ...everything(1), pos: before.pos });
  expect(heroesIn(roomIn(told, roomId))).toEqual([bob.userId, CAROL]);
  await stored.store(alice, {
    join: { [roomId]: { unread_notifications: { notification_count: 2, highlight_count: 0 } } },
  });
  await world.caughtUp();
  const counted = await world.sync(alice, { ...everything(1), pos: told.pos });
  expect(roomIn(counted, roomId)).toMatchObject({ notificationCount: 2, heroes: undefined });
});
