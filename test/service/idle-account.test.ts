import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { UserId } from "../../src/model/ids.ts";
import { createSimplifiedMsc3575 } from "../../src/protocol/simplified-msc3575/simplified-msc3575.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import type { JoinedBody } from "../support/stored-world.ts";
import { SyncWorld } from "../support/sync-world.ts";

const ROOMS = 1_000;
/** What clients wait for; the test ends first. */
const POLL_MS = 30_000;
/** How long nothing is expected to come. */
const NOTHING_COMES_MS = 500;
/** Beside the lists: what each half minute of an account costs in which nothing happens. */
const MAX_BYTES = 450;

const bob = "@bob:test" as UserId;
const dialect = createSimplifiedMsc3575({ maxTimelineLimit: 50, withOps: false });
let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

async function idleAccount() {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const alice = await stored.user("alice");
  const roomIds = Array.from({ length: ROOMS }, () => stored.roomId());
  const rooms = roomIds.map((roomId) => [roomId, stored.newRoom([alice.userId, bob])] as const);
  await stored.store(alice, { join: Object.fromEntries(rooms) }, { isLong: true });
  await world.caughtUp();
  const asking = (pos?: string, timeoutMs = 0) =>
    request({ all: list([[0, ROOMS - 1]], config(1, "m.room.name")) }, undefined, { pos, timeoutMs });
  const first = await world.sync(alice, asking());
  expect(first.response.rooms).toHaveLength(ROOMS);
  return { world, stored, alice, roomIds, asking, first };
}

test("an account in which nothing happens is answered when its poll is over, with next to nothing", async () => {
  const { world, alice, asking, first } = await idleAccount();
  await using _world = world;
  let { pos } = first;
  for (let poll = 0; poll < 3; poll++) {
    const asked = asking(pos, NOTHING_COMES_MS);
    const answer = await world.sync(alice, asked);
    const body = JSON.parse(Buffer.concat(dialect.encode(answer.response, answer.pos, asked)).toString("utf8"));
    expect(body).toMatchObject({ lists: { all: { count: ROOMS } }, rooms: {} });
    expect(JSON.stringify({ ...body, lists: {} }).length).toBeLessThan(MAX_BYTES);
    pos = answer.pos;
  }
  // Neither does it cost the database anything.
  expect(pos).toBe(first.pos);
});

test("what is of no concern to a client ends none of its polls", async () => {
  const { world, stored, alice, roomIds, asking, first } = await idleAccount();
  await using _world = world;
  const { pos } = await world.sync(alice, asking(first.pos));
  const waiting = world.sync(alice, asking(pos, POLL_MS));
  let isAnswered = false;
  const note = () => {
    isAnswered = true;
  };
  waiting.then(note, note);
  await world.waiting();
  const receipt = { $event: { "m.read": { [bob]: { ts: 1 } } } };
  const unconcerned: readonly object[] = [
    { ephemeral: { events: [{ type: "m.receipt", content: receipt }] } },
    { ephemeral: { events: [{ type: "m.typing", content: { user_ids: [bob] } }] } },
    { account_data: { events: [{ type: "m.fully_read", content: { event_id: "$event" } }] } },
    { account_data: { events: [{ type: "m.tag", content: { tags: { "u.work": {} } } }] } },
  ];
  for (const body of unconcerned) await stored.store(alice, { join: { [roomIds[0]!]: body as JoinedBody } });
  await stored.store(alice, {}, { accountData: [{ type: "m.direct", content: { [bob]: [roomIds[1]] } }] });
  await world.caughtUp();
  await new Promise((resolve) => setTimeout(resolve, NOTHING_COMES_MS));
  expect(isAnswered).toBe(false);
  await stored.store(alice, { join: { [roomIds[2]!]: { timeline: { events: [stored.message(bob)] } } } });
  await world.caughtUp();
  expect((await waiting).response.rooms.map(({ roomId }) => roomId)).toEqual([roomIds[2]]);
});
