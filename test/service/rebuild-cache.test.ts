import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, test } from "@jest/globals";
import { CACHE_TABLES, dropCache, LEDGER_TABLES } from "../../src/store/cache.ts";
import { beginDraining } from "../../src/store/draining.ts";
import { markRunning, RunningError } from "../../src/store/running-mark.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { list, request } from "../support/engine.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, PROFILE_NAMES, startHomeserver } from "../support/homeserver/start.ts";
import { startIntake, until, untilRow, want } from "../support/intake-run.ts";
import { runProgram, startProgram, until as untilProgram } from "../support/program.ts";
import { SyncWorld } from "../support/sync-world.ts";

let db: TestDatabase;

beforeEach(async () => {
  db = await openTestDatabase();
});

afterEach(async () => {
  await db[Symbol.asyncDispose]();
});

const MARK = "org.example.mark";
let marks = 0;

/** Polls until the device's stream has told of all that there is. */
async function polled(database: TestDatabase, homeserver: Homeserver, robot: Robot): Promise<void> {
  await using _intake = await startIntake(database, homeserver.url);
  await want(database, robot);
  await untilRow(
    database,
    "SELECT FROM devices WHERE is_synced AND asks_anew IS NULL AND device_id = $1",
    robot.deviceId,
  );
  marks += 1;
  await robot.accountData(MARK, { mark: marks });
  const text = `SELECT FROM account_data WHERE type = '${MARK}' AND convert_from(body, 'UTF8')::json->'content'->>'mark' = $1`;
  await untilRow(database, text, String(marks));
}

const ROOMS = `
  SELECT r.room_id, r.is_complete, r.name, r.room_type, r.is_encrypted, r.joined_count, m.membership, m.notification_count, m.heroes
    FROM memberships m JOIN users USING (user_nid) JOIN rooms r USING (room) WHERE user_id = $1 AND m.membership IN (1, 2, 3) ORDER BY 1`;
const TIMELINES = `
  SELECT r.room_id, e.event_id FROM events e JOIN rooms r USING (room) JOIN memberships m USING (room) JOIN users USING (user_nid)
   WHERE user_id = $1 AND m.membership = 1 AND e.order_key IS NOT NULL ORDER BY r.room_id, e.order_key`;
const STATE = `
  SELECT r.room_id, s.type, s.state_key, e.event_id
    FROM current_state s JOIN events e USING (nid) JOIN rooms r ON r.room = s.room JOIN memberships m ON m.room = r.room JOIN users USING (user_nid)
   WHERE user_id = $1 AND m.membership = 1 ORDER BY 1, 2, 3`;
const ACCOUNT_DATA = `
  SELECT coalesce(r.room_id, '') AS room_id, a.type, convert_from(a.body, 'UTF8') AS body
    FROM account_data a JOIN users USING (user_nid) LEFT JOIN rooms r USING (room)
   WHERE user_id = $1 AND a.type <> '${MARK}' ORDER BY 1, 2`;
const RECEIPTS = `
  SELECT r.room_id, t.user_id, t.receipt_type, t.event_id
    FROM receipts t JOIN rooms r USING (room) JOIN memberships m USING (room) JOIN users u USING (user_nid)
   WHERE u.user_id = $1 AND m.membership = 1 ORDER BY 1, 2, 3`;

async function picture(database: TestDatabase, { userId }: Robot) {
  const rows = (text: string) => database.query<Record<string, unknown>>({ text, values: [userId] });
  return {
    rooms: await rows(ROOMS),
    timelines: await rows(TIMELINES),
    state: await rows(STATE),
    accountData: await rows(ACCOUNT_DATA),
    receipts: await rows(RECEIPTS),
  };
}

const inbox = async (database: TestDatabase) =>
  (
    await database.query<{ body: Buffer }>({
      text: "SELECT body FROM to_device_messages ORDER BY device_nid, sequence",
    })
  ).map(({ body }) => JSON.parse(String(body)).content.n);

/** All that is told of devices, with its position. */
const deviceLists = (database: TestDatabase) =>
  database.query<{ user_id: string; position: number }>({
    text: "SELECT l.user_id, c.position FROM device_list_log l LEFT JOIN changes c USING (batch) ORDER BY l.batch, l.user_id",
  });

async function life(homeserver: Homeserver) {
  const [alice, bob, carol] = await Promise.all(
    ["alice", "bob", "carol"].map((name) => homeserver.register(name, name)),
  );
  if (alice === undefined || bob === undefined || carol === undefined) throw new Error("three were registered");
  const rooms: string[] = [];
  for (const name of ["kept", "left", "kicked from", "quiet"]) {
    const roomId = await bob.createRoom({ name, invite: [alice.userId] });
    await alice.join(roomId);
    await bob.receipt(roomId, await alice.send(roomId, `first in ${name}`));
    rooms.push(roomId);
  }
  await bob.setState(rooms[0]!, "m.room.encryption", { algorithm: "m.megolm.v1.aes-sha2" });
  await alice.tag(rooms[3]!, "m.favourite", { order: 0.5 });
  await alice.accountData("org.example.note", { n: 1 });
  return { alice, bob, carol, rooms };
}

/** What happens while nobody polls. */
async function meanwhile({ alice, bob, carol, rooms }: Awaited<ReturnType<typeof life>>): Promise<void> {
  const [kept, left, kicked] = rooms as [string, string, string];
  await alice.leave(left);
  await bob.kick(kicked, alice.userId);
  for (let n = 0; n < 30; n++) await bob.send(kept, `message ${n}`);
  await bob.setState(kept, "m.room.topic", { topic: "another" });
  await carol.receipt(kept, await bob.send(kept, "read by nobody")).catch(() => undefined);
  await alice.accountData("org.example.note", { n: 2 });
  const invited = await carol.createRoom({ name: "invited to", invite: [alice.userId] });
  const joined = await carol.createRoom({ name: "joined", invite: [alice.userId] });
  await alice.join(joined);
  await alice.receipt(joined, await carol.send(joined, `not ${invited}`));
}

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let homeserver: Homeserver & AsyncDisposable;

  beforeEach(async () => {
    homeserver = await startHomeserver({ profile });
  });
  afterEach(async () => {
    await homeserver[Symbol.asyncDispose]();
  });

  test("what is stored after it is what a new installation has, and nothing of the device's own is lost or told twice", async () => {
    const lived = await life(homeserver);
    const { alice, bob } = lived;
    await bob.sendToDevice(alice.userId, alice.deviceId, { n: 1 });
    await polled(db, homeserver, alice);
    await bob.sendToDevice(alice.userId, alice.deviceId, { n: 2 });
    await bob.uploadKeys();
    await polled(db, homeserver, alice);
    await meanwhile(lived);
    await bob.sendToDevice(alice.userId, alice.deviceId, { n: 3 });
    const listsBefore = await deviceLists(db);
    expect(listsBefore.length).toBeGreaterThan(0);
    expect(listsBefore.filter(({ position }) => position === null)).toEqual([]);
    const head = async () =>
      (await db.query<{ position: number }>({ text: "SELECT position FROM stream_head" }))[0]!.position;
    const headBefore = await head();
    const dropped = await dropCache(db);
    expect(dropped).toMatchObject({ rooms: 4, devices: 1, toDeviceMessages: 2 });
    expect(await inbox(db)).toEqual([1, 2]);
    expect(await deviceLists(db)).toEqual(listsBefore);
    expect(await head()).toBe(headBefore);
    await polled(db, homeserver, alice);
    expect(await inbox(db)).toEqual([1, 2, 3]);
    expect((await deviceLists(db)).slice(0, listsBefore.length)).toEqual(listsBefore);
    await using fresh = await openTestDatabase();
    await homeserver.control.forgetCachedSyncs();
    await polled(fresh, homeserver, alice);
    const after = await picture(db, alice);
    expect(after).toEqual(await picture(fresh, alice));
    expect(after.rooms).toHaveLength(4);
    expect(after.receipts.length).toBeGreaterThan(0);
  }, 60_000);
});

describe("the stream of a device", () => {
  let homeserver: Homeserver & AsyncDisposable;

  beforeEach(async () => {
    homeserver = await startHomeserver();
  });
  afterEach(async () => {
    await homeserver[Symbol.asyncDispose]();
  });

  const device = async () =>
    (await db.query<{ since: string; asks_anew: number | null }>({ text: "SELECT since, asks_anew FROM devices" }))[0]!;

  test("goes on from where it stood, also when all that is asked anew breaks off and the process ends", async () => {
    const { alice, bob } = await life(homeserver);
    await polled(db, homeserver, alice);
    await dropCache(db);
    const before = await device();
    await bob.sendToDevice(alice.userId, alice.deviceId, { n: 1 });
    const fault = await homeserver.control.fault({ path: "*/sync", since: false, effect: { cutAfterBytes: 2_000 } });
    {
      await using _intake = await startIntake(db, homeserver.url);
      await want(db, alice);
      await until(async () => (await fault.hits()) > 0);
    }
    expect(await device()).toEqual(before);
    expect(await inbox(db)).toEqual([]);
    await fault.remove();
    const held = await homeserver.control.fault({ path: "*/sync", since: true, effect: { hang: true } });
    {
      await using _intake = await startIntake(db, homeserver.url);
      await want(db, alice);
      await untilRow(db, "SELECT FROM devices WHERE is_synced");
      await until(async () => (await held.hits()) > 0);
      expect(await device()).toEqual({ since: before.since, asks_anew: null });
      expect(await inbox(db)).toEqual([]);
    }
    await held.remove();
    await polled(db, homeserver, alice);
    expect(await inbox(db)).toEqual([1]);
  });

  test("goes on at once where another device of the user has asked for all anew", async () => {
    const { alice, bob } = await life(homeserver);
    const tablet = await homeserver.login("alice", "TABLET");
    await polled(db, homeserver, alice);
    await polled(db, homeserver, tablet);
    const asked = await homeserver.control.requests("/sync", alice.userId);
    await dropCache(db);
    await alice.accountData("m.ignored_user_list", { ignored_users: { [bob.userId]: {} } });
    await bob.sendToDevice(alice.userId, tablet.deviceId, { n: 1 });
    {
      // Both are claimed in one turn.
      await using _intake = await startIntake(db, homeserver.url, { initialConcurrency: 1 });
      await untilRow(db, "SELECT FROM devices WHERE is_synced AND asks_anew IS NULL HAVING count(*) = 2");
    }
    const after = (await homeserver.control.requests("/sync", alice.userId)).slice(asked.length);
    expect(after.filter(({ query }) => query.since === undefined)).toHaveLength(1);
    await polled(db, homeserver, tablet);
    expect(await inbox(db)).toEqual([1]);
    await using fresh = await openTestDatabase();
    await homeserver.control.forgetCachedSyncs();
    await polled(fresh, homeserver, alice);
    expect(await picture(db, alice)).toEqual(await picture(fresh, alice));
  });

  test("cannot be moved on by a poller from before", async () => {
    const { alice } = await life(homeserver);
    await polled(db, homeserver, alice);
    const epoch = async () => (await db.query<{ epoch: number }>({ text: "SELECT epoch FROM devices" }))[0]!.epoch;
    const before = await epoch();
    await dropCache(db);
    expect(await epoch()).toBe(before + 1);
  });

  test("a client's position is unknown afterwards, and a new connection begins with all rooms", async () => {
    const { alice, rooms } = await life(homeserver);
    await polled(db, homeserver, alice);
    const [row] = await db.query<{ user_nid: number; device_nid: number }>({
      text: "SELECT user_nid, device_nid FROM devices",
    });
    const reader = { ...alice, userNid: row!.user_nid, deviceNid: row!.device_nid } as never;
    const lists = request({ all: list([[0, 9]]) });
    await using world = await SyncWorld.start(db);
    await world.poll(reader);
    const { pos } = await world.sync(reader, lists);
    await world.restart();
    await dropCacheBeside(world);
    await world.restart();
    await expect(world.sync(reader, { ...lists, pos })).rejects.toThrow("Unknown position");
    await polled(db, homeserver, alice);
    await world.caughtUp();
    await world.poll(reader);
    expect((await world.sync(reader, lists)).response.rooms).toHaveLength(rooms.length);
  });
});

/** The world's pollers are none. */
async function dropCacheBeside(world: SyncWorld): Promise<void> {
  await world.pollNobody();
  await dropCache(db);
}

test("every table is either kept or dropped", async () => {
  const tables = await db.query<{ name: string }>({
    text: "SELECT table_name AS name FROM information_schema.tables WHERE table_schema = 'public' ORDER BY 1",
  });
  expect(tables.map(({ name }) => name)).toEqual([...LEDGER_TABLES, ...CACHE_TABLES].sort());
});

test("nothing is dropped while a process runs, be it one that serves or one that polls", async () => {
  await db.query({ text: "INSERT INTO rooms (room_id) VALUES ('!a:test')" });
  const refused = async () => {
    await expect(dropCache(db)).rejects.toBeInstanceOf(RunningError);
    expect(await db.query({ text: "SELECT FROM rooms" })).toHaveLength(1);
  };
  {
    await using _serving = await markRunning(db, () => {});
    await using _beside = await markRunning(db, () => {});
    await refused();
  }
  {
    await using _polling = await db.holdSessionLock(77);
    await refused();
  }
  expect(await dropCache(db)).toMatchObject({ rooms: 1 });
});

test("nothing is dropped while nothing is taken in", async () => {
  await beginDraining(db);
  await expect(dropCache(db)).rejects.toThrow("run slidecar drain --end first");
});

test("a process whose connection was lost shows itself again", async () => {
  await using _serving = await markRunning(db, () => {});
  const text = `
    SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND mode = 'ShareLock'
       AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`;
  const [first] = await db.query<{ pid: number }>({ text });
  await db.query({ text: "SELECT pg_terminate_backend($1)", values: [first!.pid] });
  await untilRow(db, `${text} AND pid <> $1`, first!.pid);
  await expect(dropCache(db)).rejects.toBeInstanceOf(RunningError);
});

test("the command says what it dropped, and not while the service runs", async () => {
  const folder = await mkdtemp(join(tmpdir(), "slidecar-rebuild-"));
  try {
    const config = join(folder, "config.yaml");
    const listeners = [{ port: 0, resources: ["client"] }];
    const keys = { homeserver: { url: "http://127.0.0.1:9" }, database: { url: db.url }, secret: "s", listeners };
    await writeFile(config, JSON.stringify(keys));
    for (const role of ["all", "client"]) {
      await using service = startProgram(["start", "-c", config, "--role", role]);
      await untilProgram(() => service.output().includes('"msg":"ready"'), "it runs");
      const refused = await runProgram(["rebuild-cache", "-c", config]);
      expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
      expect(refused.stderr).toBe(
        "slidecar: a Slidecar runs on this database; end every process of it, then repeat this\n",
      );
    }
    const done = await runProgram(["rebuild-cache", "-c", config]);
    expect(done).toMatchObject({ exitCode: 0, stderr: "" });
    expect(done.stdout).toContain("dropped: 0 rooms with 0 events, 0 connections");
    await writeFile(config, JSON.stringify({ ...keys, secret: "another" }));
    expect(await runProgram(["rebuild-cache", "-c", config])).toMatchObject({ exitCode: 1, stdout: "" });
  } finally {
    await rm(folder, { recursive: true });
  }
}, 120_000);
