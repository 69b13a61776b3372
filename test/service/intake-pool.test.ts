import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import { type ClaimedDevice, claimDevices, DEVICES_CHANNEL } from "../../src/store/devices.ts";
import type { SessionLock } from "../../src/store/session-lock.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, PROFILE_NAMES, startHomeserver } from "../support/homeserver/start.ts";
import { type IntakeRun, type RunOptions, startIntake, until, untilRow, want } from "../support/intake-run.ts";

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let db: TestDatabase;
  let homeserver: Homeserver & AsyncDisposable;
  let made = 0;
  const runs: IntakeRun[] = [];

  beforeAll(async () => {
    [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ profile })]);
  });
  afterEach(async () => {
    await homeserver.control.clearFaults();
    for (const run of runs.splice(0)) await run.stop();
    await db.query({ text: "UPDATE devices SET wanted_at = now() - interval '1 day'" });
  });
  afterAll(async () => {
    await homeserver[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  async function start(options: RunOptions = {}): Promise<IntakeRun> {
    const run = await startIntake(db, homeserver.url, options);
    runs.push(run);
    return run;
  }

  async function register(): Promise<Robot> {
    made += 1;
    return await homeserver.register(`user${made}`, `DEVICE${made}`);
  }

  interface DeviceRow {
    readonly owner: number | null;
    readonly epoch: number;
    readonly since: string | null;
    readonly token: Buffer | null;
    readonly lease: string | null;
  }
  const deviceOf = ({ deviceId }: Robot, condition = "true") =>
    untilRow<DeviceRow>(
      db,
      `SELECT owner, epoch, since, token, lease_until::text AS lease FROM devices WHERE device_id = $1 AND ${condition}`,
      deviceId,
    );
  const untilSynced = (robot: Robot) => deviceOf(robot, "is_synced");
  const polls = async ({ userId }: Robot) => (await homeserver.control.requests("/sync", userId)).length;

  /** Another process that polls, of which only the lock lives. */
  async function otherProcess(owner: number): Promise<SessionLock> {
    return await db.holdSessionLock(owner);
  }
  async function claimFor(owner: number, robot: Robot): Promise<ClaimedDevice> {
    const deviceNid = await want(db, robot);
    const [claim] = await claimDevices(db, owner, { idleAfterMs: 60_000, device: deviceNid, limit: 1 });
    if (claim === undefined) throw new Error("claimed already");
    return claim;
  }

  describe("the pollers of a process", () => {
    test("take the devices that are wanted when it starts, and those that are wanted later", async () => {
      const [early, late] = [await register(), await register()];
      await want(db, early);
      const run = await start();
      await untilSynced(early);
      await want(db, late);
      expect(await deviceOf(late, "is_synced")).toMatchObject({ owner: run.owner, epoch: 1 });
      expect(await run.metric("slidecar_pollers")).toBe(2);
    });

    test("leave devices alone that nobody asked for", async () => {
      const [forgotten, wanted] = [await register(), await register()];
      await want(db, forgotten);
      await db.query({
        text: "UPDATE devices SET wanted_at = now() - interval '2 hours' WHERE device_id = $1",
        values: [forgotten.deviceId],
      });
      await want(db, wanted);
      await start();
      await untilSynced(wanted);
      expect(await deviceOf(forgotten)).toMatchObject({ owner: null, epoch: 0 });
    });

    test("stop when their device is idle, and go on from where they were when it is back", async () => {
      const robot = await register();
      const run = await start();
      const deviceNid = await want(db, robot);
      const { since } = await untilSynced(robot);
      await db.query({
        text: "UPDATE devices SET wanted_at = now() - interval '2 hours' WHERE device_nid = $1",
        values: [deviceNid],
      });
      await db.notify(DEVICES_CHANNEL, String(deviceNid));
      await deviceOf(robot, "owner IS NULL");
      await until(async () => (await homeserver.control.heldPolls(robot.userId)) === 0);
      expect(run.log.findLast(({ msg }) => msg === "poller stopped")).toMatchObject({
        user: robot.userId,
        reason: "shutdown",
      });
      const before = await polls(robot);
      await want(db, robot);
      await until(async () => (await polls(robot)) > before);
      expect((await homeserver.control.requests("/sync", robot.userId))[before]?.query).toMatchObject({
        since,
        timeout: expect.stringMatching(/^\d{1,2}$/),
      });
    });

    test("use a new token from the next poll on", async () => {
      const robot = await register();
      const roomId = await robot.createRoom({});
      await start();
      await want(db, robot);
      await untilSynced(robot);
      await homeserver.control.untilPollsHeld(1, robot.userId);
      const token = await homeserver.control.issueToken(robot.userId, robot.deviceId);
      const { lease } = await deviceOf(robot);
      await want(db, { ...robot, token });
      await deviceOf(robot, `lease_until::text > '${lease}'`);
      // The poll that is held keeps its token until it ends; the ones after it would be refused.
      await robot.send(roomId, "with the old token");
      await homeserver.control.revokeToken(robot.token);
      const sender = await homeserver.login(`user${made}`, `SENDER${made}`);
      const eventId = await sender.send(roomId, "with the new token");
      await untilRow(db, "SELECT nid FROM events WHERE event_id = $1", eventId);
      expect(await deviceOf(robot)).toMatchObject({ epoch: 1, token: expect.anything() });
    });

    test("end with a token that is refused, and begin again with a new one", async () => {
      const robot = await register();
      const run = await start();
      await want(db, robot);
      await untilSynced(robot);
      await homeserver.control.untilPollsHeld(1, robot.userId);
      await homeserver.control.revokeToken(robot.token, { softLogout: true });
      const other = await homeserver.login(`user${made}`, `OTHER${made}`);
      // Something that ends the poll that is held.
      await other.accountData("org.example", { made });
      const { since } = await deviceOf(robot, "token IS NULL AND owner IS NULL");
      expect(run.log.findLast(({ msg }) => msg === "poller stopped")).toMatchObject({
        user: robot.userId,
        reason: "token-refused",
      });
      const before = await polls(robot);
      const token = await homeserver.control.issueToken(robot.userId, robot.deviceId);
      await want(db, { ...robot, token });
      await until(async () => (await polls(robot)) > before);
      expect((await homeserver.control.requests("/sync", robot.userId)).at(before)?.query.since).toBe(since);
      await deviceOf(robot, `owner = ${run.owner} AND epoch = 2`);
    });

    test("give their devices back when the process ends", async () => {
      const robots = [await register(), await register()];
      const run = await start();
      for (const robot of robots) await want(db, robot);
      for (const robot of robots) await untilSynced(robot);
      await run.stop();
      runs.length = 0;
      for (const robot of robots) expect(await deviceOf(robot)).toMatchObject({ owner: null });
      await until(async () => (await homeserver.control.heldPolls()) === 0);
    });

    test("of two processes poll each device once", async () => {
      const robots = await Promise.all(Array.from({ length: 6 }, register));
      const [one, other] = [await start(), await start()];
      await Promise.all(robots.map((robot) => want(db, robot)));
      for (const robot of robots) await untilSynced(robot);
      for (const robot of robots) expect(await deviceOf(robot)).toMatchObject({ epoch: 1 });
      const running = (await one.metric("slidecar_pollers")) + (await other.metric("slidecar_pollers"));
      expect(running).toBe(6);
    });
  });

  describe("devices of another process", () => {
    test("are its own while it lives, and are taken over at once when it was killed", async () => {
      const [robot, mark] = [await register(), await register()];
      const lock = await otherProcess(77);
      await claimFor(77, robot);
      const run = await start();
      await want(db, robot);
      await want(db, mark);
      await untilSynced(mark);
      expect(await deviceOf(robot)).toMatchObject({ owner: 77, epoch: 1 });
      const killedAt = performance.now();
      await lock[Symbol.asyncDispose]();
      await want(db, robot);
      expect(await deviceOf(robot, "is_synced")).toMatchObject({ owner: run.owner, epoch: 2 });
      // Its lease would have lasted 15 s.
      expect(performance.now() - killedAt).toBeLessThan(10_000);
    });

    test("are taken over when their lease has run out", async () => {
      const robot = await register();
      await using _lock = await otherProcess(78);
      const claim = await claimFor(78, robot);
      await db.query({
        text: "UPDATE devices SET lease_until = now() - interval '1 second' WHERE device_nid = $1",
        values: [claim.deviceNid],
      });
      const run = await start();
      expect(await deviceOf(robot, "is_synced")).toMatchObject({ owner: run.owner, epoch: 2 });
    });
  });

  describe("a claim that went wrong", () => {
    test("is taken up again when its poller's stream had gone on without its knowledge", async () => {
      const robot = await register();
      const roomId = await robot.createRoom({});
      const run = await start();
      const deviceNid = await want(db, robot);
      const { since } = await untilSynced(robot);
      await untilRow(db, "SELECT nid FROM events WHERE event_id = $1", await robot.send(roomId, "moves the stream on"));
      await homeserver.control.untilPollsHeld(1, robot.userId);
      // As after a commit whose success was not heard of, only that the stream went elsewhere.
      await db.query({ text: "UPDATE devices SET since = $1 WHERE device_nid = $2", values: [since, deviceNid] });
      await untilRow(
        db,
        "SELECT nid FROM events WHERE event_id = $1",
        await robot.send(roomId, "refused to the old poller"),
      );
      expect(await deviceOf(robot)).toMatchObject({ owner: run.owner, epoch: 2 });
      expect(run.log.findLast(({ msg }) => msg === "poller stopped")).toMatchObject({
        user: robot.userId,
        reason: "lost-claim",
      });
    });

    test("is given back, and made again, when nothing runs for it", async () => {
      const robot = await register();
      await claimFor(79, robot);
      await start({ owner: 79 });
      await untilSynced(robot);
      expect(await deviceOf(robot)).toMatchObject({ owner: 79, epoch: 2 });
    });

    test("with a token that cannot be read is given back until a client brings one", async () => {
      const robot = await register();
      const unreadable = await register();
      const openToken = (sealed: Buffer) => {
        if (sealed.toString() === unreadable.token) throw new Error("sealed with another secret");
        return sealed.toString();
      };
      await want(db, unreadable);
      await want(db, robot);
      const run = await start({ openToken });
      await untilSynced(robot);
      await deviceOf(unreadable, "token IS NULL AND owner IS NULL");
      expect(run.log.find(({ msg }) => msg === "a poller ended by an error of its own")).toMatchObject({
        user: unreadable.userId,
      });
      const token = await homeserver.control.issueToken(unreadable.userId, unreadable.deviceId);
      await want(db, { ...unreadable, token });
      await untilSynced(unreadable);
    });

    test("payloads that name no device are passed over", async () => {
      const robot = await register();
      const run = await start();
      for (const payload of ["", "x", "1.5", "99999999999999999999"]) await db.notify(DEVICES_CHANNEL, payload);
      await want(db, robot);
      await untilSynced(robot);
      expect(run.log.filter(({ level }) => level === "warn")).toEqual([]);
    });
  });

  test("first syncs wait for each other, polls that go on do not", async () => {
    const [first, second, known] = [await register(), await register(), await register()];
    const run = await start({ initialConcurrency: 1 });
    await want(db, known);
    await untilSynced(known);
    const hang = await homeserver.control.fault({
      path: "*/sync",
      user: first.userId,
      since: false,
      effect: { hang: true },
    });
    await want(db, first);
    await until(async () => (await hang.hits()) === 1);
    await want(db, second);
    await deviceOf(second, `owner = ${run.owner}`);
    const before = await deviceOf(known);
    await known.accountData("org.example", {});
    await deviceOf(known, `since <> '${before.since}'`);
    expect(await polls(second)).toBe(0);
    await hang.release();
    await untilSynced(first);
    await untilSynced(second);
  });
});
