import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import type { DeviceId, UserId } from "../../src/model/ids.ts";
import { UnavailableError } from "../../src/model/unavailable-error.ts";
import { openDatabase } from "../../src/store/database.ts";
import { claimDevices, isDeviceWanted, renewLeases } from "../../src/store/devices.ts";
import { beginDraining, endDraining, selectDrained } from "../../src/store/draining.ts";
import { findEmbeddedPostgres } from "../../src/store/embedded-postgres.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { list, request } from "../support/engine.ts";
import { startHomeserver } from "../support/homeserver/start.ts";
import { startIntake, until, untilRow, want } from "../support/intake-run.ts";
import { IntakeStage } from "../support/intake-stage.ts";
import { freePort, runProgram, startProgram, until as untilProgram } from "../support/program.ts";
import { SyncWorld } from "../support/sync-world.ts";
import { ALICE } from "../support/v2-events.ts";

const HOUR_MS = 3_600_000;
/** Longer than a test may take. */
const TOO_LONG_MS = 600_000;
const QUIET_MS = 500;

let db: TestDatabase;
let folder: string;

beforeEach(async () => {
  db = await openTestDatabase();
  folder = await mkdtemp(join(tmpdir(), "slidecar-drain-"));
});

afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

const message = (n: number) => ({ type: "m.test", sender: ALICE, content: { n } });

test("no device is claimed, those that are polled count as idle, and a client may use classic sync", async () => {
  const stage = new IntakeStage(db);
  const { claim } = await stage.device(ALICE);
  const options = { idleAfterMs: HOUR_MS, device: undefined };
  const wanted = () => isDeviceWanted(db, { userId: ALICE as UserId, deviceId: "PHONE" as DeviceId }, HOUR_MS);
  const renewed = async () => (await renewLeases(db, 1, options)).map(({ isIdle }) => isIdle);
  expect([await renewed(), await wanted()]).toEqual([[false], true]);
  await beginDraining(db);
  await beginDraining(db);
  expect([await renewed(), await wanted()]).toEqual([[true], false]);
  await db.query({ text: "UPDATE devices SET owner = NULL, lease_until = NULL" });
  for (const device of [undefined, claim.deviceNid]) {
    expect(await claimDevices(db, 2, { idleAfterMs: HOUR_MS, device, limit: 9 })).toEqual([]);
  }
  expect([await endDraining(db), await endDraining(db)]).toEqual([true, false]);
  expect(await claimDevices(db, 2, { idleAfterMs: HOUR_MS, device: undefined, limit: 9 })).toHaveLength(1);
});

test("who polls and what is left is counted by device, the fewest first", async () => {
  const stage = new IntakeStage(db);
  const [one, two] = [await stage.device(ALICE, "ONE"), await stage.device(ALICE, "TWO")];
  await stage.respond(one, { to_device: { events: [message(1), message(2)] } });
  await stage.respond(two, { to_device: { events: [message(3)] } });
  await db.query({ text: "UPDATE devices SET token = NULL WHERE device_id = 'ONE'" });
  expect((await selectDrained(db)).polled).toBe(0);
  await using _owner = await db.holdSessionLock(1);
  const { polled, left } = await selectDrained(db);
  expect(polled).toBe(2);
  expect(left).toEqual([
    { userId: ALICE, deviceId: "TWO", messages: 1, wantedAt: expect.any(Date), isRefused: false },
    { userId: ALICE, deviceId: "ONE", messages: 2, wantedAt: expect.any(Date), isRefused: true },
  ]);
});

test("pollers that run end, what is sent then stays with the homeserver, and comes when devices are polled again", async () => {
  await using homeserver = await startHomeserver();
  const [alice, bob] = [await homeserver.register("alice", "PHONE"), await homeserver.register("bob", "TABLET")];
  await using _intake = await startIntake(db, homeserver.url);
  await want(db, alice);
  await untilRow(db, "SELECT FROM devices WHERE is_synced");
  await beginDraining(db);
  await until(async () => (await selectDrained(db)).polled === 0);
  await until(async () => (await homeserver.control.heldPolls(alice.userId)) === 0);
  await bob.sendToDevice(alice.userId, alice.deviceId, { n: 1 });
  const asked = () => homeserver.control.requests("/sync", alice.userId);
  const before = await asked();
  await want(db, alice);
  // Nothing is asked for, though a client of the device is here.
  await sleep(QUIET_MS);
  expect(await asked()).toHaveLength(before.length);
  await endDraining(db);
  await want(db, alice);
  await untilRow(db, "SELECT FROM to_device_messages");
}, 30_000);

test("a device that is known is answered from the store at once, and another one is turned away", async () => {
  await using world = await SyncWorld.start(db, { initialWaitMs: TOO_LONG_MS, catchUpWaitMs: TOO_LONG_MS });
  const alice = await world.stored.user("alice");
  const bob = await world.stored.user("bob");
  await world.stored.store(alice, { join: { [world.stored.roomId()]: world.stored.newRoom([alice.userId]) } });
  await world.caughtUp();
  await beginDraining(db);
  const lists = request({ all: list([[0, 9]]) });
  const first = await world.sync(alice, lists);
  expect(first.response.rooms).toHaveLength(1);
  expect((await world.sync(alice, { ...lists, pos: first.pos })).response.rooms).toEqual([]);
  await expect(world.sync(bob, lists)).rejects.toBeInstanceOf(UnavailableError);
});

async function configOf(keys: object): Promise<string> {
  const path = join(folder, "config.yaml");
  await writeFile(path, JSON.stringify({ homeserver: { url: "http://127.0.0.1:9" }, ...keys }));
  return path;
}

const isDraining = async () => (await db.query({ text: "SELECT FROM draining" })).length > 0;

test("the command waits until all is acknowledged, tells what is left, and can be taken back", async () => {
  const config = await configOf({ database: { url: db.url }, secret: "s" });
  const stage = new IntakeStage(db);
  await stage.respond(await stage.device(ALICE), { to_device: { events: [message(1), message(2)] } });
  const left = (count: number) => `${count} messages of 1 devices are left\n  ${ALICE} PHONE: ${count}, last here `;
  {
    await using draining = startProgram(["drain", "-c", config]);
    await untilProgram(() => draining.output().includes(left(2)), "two are left");
    draining.child.kill("SIGINT");
    const broken = await draining.ended;
    expect(broken.exitCode).toBe(1);
    expect(broken.stderr).toMatch(/^slidecar: not drained: 2 messages of 1 devices are left; it was not waited for\./);
    expect(await isDraining()).toBe(true);
  }
  await using draining = startProgram(["drain", "-c", config]);
  await untilProgram(() => draining.output().includes(left(2)), "two are left");
  const acknowledge = "DELETE FROM to_device_messages WHERE sequence = (SELECT min(sequence) FROM to_device_messages)";
  await db.query({ text: acknowledge });
  await untilProgram(() => draining.output().includes(left(1)), "one is left");
  await db.query({ text: acknowledge });
  const done = await draining.ended;
  expect(done).toMatchObject({ exitCode: 0, stderr: "" });
  expect(done.stdout).toMatch(/\ndrained: every to-device message is acknowledged, and no device is polled\n$/);
  expect(await isDraining()).toBe(true);
  const back = await runProgram(["drain", "--end", "-c", config]);
  expect(back).toEqual({ exitCode: 0, stdout: "devices are polled again\n", stderr: "" });
  expect(await isDraining()).toBe(false);
  expect((await runProgram(["drain", "--end", "-c", config])).stdout).toContain("nothing to do");
}, 60_000);

test("a device that is polled still is waited for, though nothing of it is left", async () => {
  const config = await configOf({ database: { url: db.url }, secret: "s" });
  await new IntakeStage(db).device(ALICE);
  const owner = await db.holdSessionLock(1);
  await using draining = startProgram(["drain", "-c", config]);
  await untilProgram(
    () => draining.output().includes("0 messages of 0 devices are left, and 1 devices"),
    "one is polled",
  );
  await owner[Symbol.asyncDispose]();
  expect(await draining.ended).toMatchObject({ exitCode: 0, stderr: "" });
}, 60_000);

test("a service with an embedded database is drained beside it; one that does not run is said to be needed", async () => {
  const data_dir = join(folder, "data");
  const config = await configOf({ data_dir, listeners: [{ port: await freePort(), resources: ["client"] }] });
  {
    await using service = startProgram(["start", "-c", config]);
    await untilProgram(() => service.output().includes('"msg":"ready"'), "it runs");
    expect(await runProgram(["drain", "-c", config])).toMatchObject({ exitCode: 0, stderr: "" });
    expect(service.child.exitCode).toBeNull();
    await using embedded = openDatabase({
      url: (await findEmbeddedPostgres(join(data_dir, "postgres"))) ?? "",
      poolSize: 3,
      onError: () => {},
    });
    await want({ ...embedded, url: "" }, { userId: ALICE, deviceId: "PHONE", token: "t" });
    await embedded.query({
      text: "INSERT INTO to_device_messages (device_nid, sequence, body, batch) SELECT device_nid, 1, '{}', 1 FROM devices",
    });
  }
  const alone = await runProgram(["drain", "-c", config]);
  expect(alone.exitCode).toBe(1);
  expect(alone.stderr).toMatch(
    /not drained: 1 messages of 1 devices are left; the service .* does not run: start it\./,
  );
  expect((await runProgram(["drain", "--end", "-c", config])).stdout).toBe("devices are polled again\n");
}, 60_000);
