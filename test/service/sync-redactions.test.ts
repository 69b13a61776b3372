import { afterAll, beforeAll, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { UserId } from "../../src/model/ids.ts";
import { createSimplifiedMsc3575 } from "../../src/protocol/simplified-msc3575/simplified-msc3575.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import { timeline } from "../support/stored-world.ts";
import { eventsOf, roomIn, SyncWorld } from "../support/sync-world.ts";

const SECRET = "what should not have been said";

let db: TestDatabase;
const bob = "@bob:test" as UserId;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const asked: SyncRequest = request({ main: list([[0, 19]], config(20, "m.room.name", "lazy", "m.room.topic")) });

/** Alice in a room with Bob, whose words are all the same. */
async function start() {
  const world = await SyncWorld.start(db);
  const { stored } = world;
  const alice = await stored.user("alice");
  const roomId = stored.roomId();
  const name = stored.state("m.room.name", bob, { name: SECRET });
  const message = stored.message(bob, { content: { msgtype: "m.text", body: SECRET } });
  const bobs = stored.state("m.room.member", bob, { membership: "join", displayname: SECRET }, bob);
  await stored.store(alice, { join: { [roomId]: stored.newRoom([alice.userId], [bobs, name, message]) } });
  await world.caughtUp();
  const redact = async (...targets: readonly { readonly event_id: string }[]) => {
    const redactions = targets.map(({ event_id: redacts }) => stored.event("m.room.redaction", bob, { redacts }));
    await stored.store(alice, { join: { [roomId]: timeline(...redactions) } });
    await world.caughtUp();
    return redactions.map((redaction) => redaction.event_id);
  };
  const sync = async (pos?: string) => {
    const more = pos === undefined ? asked : { ...asked, pos };
    const answer = await world.sync(alice, more);
    const { encode } = createSimplifiedMsc3575({ maxTimelineLimit: 100, withOps: false });
    return { ...answer, wire: Buffer.concat([...encode(answer.response, answer.pos, asked)]).toString() };
  };
  return { world, alice, roomId, name, message, bobs, redact, sync };
}

test("what was redacted is in no later answer, though it was in memory", async () => {
  const { world, roomId, name, message, bobs, redact, sync } = await start();
  await using _world = world;
  const first = await sync();
  expect(first.wire.split(SECRET)).toHaveLength(7);
  await redact(message, name, bobs);
  const anew = await sync();
  expect(anew.wire).not.toContain(SECRET);
  expect(roomIn(anew, roomId)?.name).toBeUndefined();
  expect(anew.wire).toContain('"redacted_because"');
  await world.restart();
  expect((await sync()).wire).not.toContain(SECRET);
});

test("a client that knew it is told of the redaction, and of state in its new form", async () => {
  const { world, roomId, name, message, redact, sync } = await start();
  await using _world = world;
  const { pos } = await sync();
  const redactions = await redact(message, name);
  const next = await sync(pos);
  const room = roomIn(next, roomId);
  expect(eventsOf(room)).toEqual(redactions);
  expect(room?.requiredState.map(({ eventId, body }) => [eventId, JSON.parse(body.toString()).content])).toEqual([
    [name.event_id, {}],
  ]);
  expect(next.wire).not.toContain(SECRET);
});

test("a client that waits is woken by it", async () => {
  const { world, alice, roomId, message, redact, sync } = await start();
  await using _world = world;
  const { pos } = await sync();
  const waiting = world.sync(alice, { ...asked, pos, timeoutMs: 30_000 });
  await world.waiting();
  const redactions = await redact(message);
  expect(eventsOf(roomIn(await waiting, roomId))).toEqual(redactions);
});
