import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { Membership } from "../../src/model/membership.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { FaultRequest } from "../support/homeserver/faults.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type FaultInForce, type Homeserver, startHomeserver } from "../support/homeserver/start.ts";
import { type IntakeRun, startIntake, until, untilRow, want } from "../support/intake-run.ts";

let db: TestDatabase;
let homeserver: Homeserver & AsyncDisposable;
let run: IntakeRun;
let alice: Robot;
let bob: Robot;
let roomId: string;
let made = 0;

beforeAll(async () => {
  [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver()]);
});
/** Alice's room, into which Bob came; both are polled. */
beforeEach(async () => {
  made += 1;
  alice = await homeserver.register(`alice${made}`, `A${made}`);
  bob = await homeserver.register(`bob${made}`, `B${made}`);
  roomId = await alice.createRoom({ preset: "public_chat", name: "before" });
  await bob.join(roomId);
  run = await startIntake(db, homeserver.url, { timelineLimit: 2 });
  for (const robot of [alice, bob]) {
    await want(db, robot);
    await untilRow(db, "SELECT 1 FROM devices WHERE device_id = $1 AND is_synced", robot.deviceId);
  }
});
afterEach(async () => {
  await homeserver.control.clearFaults();
  await run.stop();
  await db.query({ text: "UPDATE devices SET wanted_at = now() - interval '1 day'" });
});
afterAll(async () => {
  await homeserver[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});

const CURRENT = `
  SELECT e.event_id FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid)
   WHERE r.room_id = $1 AND s.type = $2 AND s.state_key = $3`;
const untilCurrent = (eventId: string, type = "m.room.name", stateKey = "") =>
  untilRow(db, `${CURRENT} AND e.event_id = $4`, roomId, type, stateKey, eventId);
const current = async (type = "m.room.name", stateKey = "") =>
  (await untilRow<{ event_id: string }>(db, CURRENT, roomId, type, stateKey)).event_id;
const untilStored = (eventId: string) => untilRow(db, "SELECT 1 FROM events WHERE event_id = $1", eventId);
const outcomes = (outcome: string, kind = "state") => run.metric("slidecar_fetches_total", { kind, outcome });

const fault = (robot: Robot, path: string, effect: FaultRequest["effect"], times?: number) =>
  homeserver.control.fault({ path, user: robot.userId, effect, ...(times === undefined ? {} : { times }) });

/** The robot's next poll is held before anything is computed. */
async function holdNextPoll(robot: Robot): Promise<FaultInForce> {
  await homeserver.control.untilPollsHeld(1, robot.userId);
  const hold = await fault(robot, "*/sync", { hang: true });
  await alice.send(roomId, "ends the poll before it");
  await until(async () => (await hold.hits()) === 1);
  return hold;
}

/**
 * What Bob's stream says of the room's name stands against what Alice's brought while his poll was under way, and is the
 * newer one; Alice's stream says no more. Bob's says nothing of the name that Alice's brought. Returns the two events.
 */
async function contestName(): Promise<readonly [older: string, newer: string]> {
  const bobs = await holdNextPoll(bob);
  const older = await alice.setState(roomId, "m.room.name", { name: "older" });
  await untilCurrent(older);
  await holdNextPoll(alice);
  const newer = await alice.setState(roomId, "m.room.name", { name: "newer" });
  let last = "";
  for (let sent = 0; sent < 4; sent += 1) last = await alice.send(roomId, `message ${sent}`);
  await bobs.remove();
  await untilStored(last);
  return [older, newer];
}

const NAME_PATH = "*/state/m.room.name/*";

describe("a claim that its response cannot prove", () => {
  test("is settled by what the homeserver says when it is asked", async () => {
    const [, newer] = await contestName();
    await untilCurrent(newer);
    const room = await untilRow(db, "SELECT name FROM rooms WHERE room_id = $1", roomId);
    expect(room).toEqual({ name: "newer" });
    await until(async () => (await outcomes("decided")) === 1);
    expect(await run.metric("slidecar_fetches_waiting")).toBe(0);
    expect(run.announced.at(-1)).toBeGreaterThan(0);
  });

  test("is asked about again while the homeserver fails", async () => {
    const broken = await fault(bob, NAME_PATH, { reply: { status: 502, body: "no gateway" } }, 2);
    const [, newer] = await contestName();
    await untilCurrent(newer);
    expect(await broken.hits()).toBe(2);
    expect(await run.metric("slidecar_fetch_failures_total")).toBe(2);
    expect(run.log.find(({ msg }) => msg.startsWith("asking the homeserver"))).toMatchObject({ count: 1 });
  });

  test("stays as it is when no user may ask, which is counted", async () => {
    await fault(bob, NAME_PATH, { reply: { status: 403, body: { errcode: "M_FORBIDDEN" } } });
    const [older] = await contestName();
    await until(async () => (await outcomes("refused")) === 1);
    expect(await current()).toBe(older);
    expect(run.log.find(({ outcome }) => outcome === "refused")).toMatchObject({
      user: bob.userId,
      room: roomId,
      asked: "state",
      eventType: "m.room.name",
    });
  });

  test.each<[string, (event: Record<string, unknown>) => unknown]>([
    ["another key", (event) => ({ ...event, state_key: "other" })],
    ["another room", (event) => ({ ...event, room_id: "!other:example.org" })],
    ["no JSON", () => "<html>"],
  ])("stays as it is when the answer is of %s", async (_what, bend) => {
    const event = {
      event_id: "$bent",
      type: "m.room.name",
      state_key: "",
      sender: alice.userId,
      origin_server_ts: 1,
      content: { name: "bent" },
    };
    // The homeserver is known to give events, so that the answer is looked at as one.
    await contestName();
    await until(async () => (await outcomes("decided")) === 1);
    await homeserver.control.clearFaults();
    await until(async () => (await homeserver.control.heldPolls(alice.userId)) === 1);
    await fault(bob, NAME_PATH, { reply: { status: 200, body: bend(event) } });
    const [older] = await contestName();
    await until(async () => (await outcomes("invalid")) === 1);
    expect(await current()).toBe(older);
  });
});

describe("what is open when the process ends", () => {
  const kept = async () => {
    const text = "SELECT DISTINCT key FROM contests WHERE key LIKE '%m.room.name%' AND position($1 IN key) > 0";
    return (await db.query({ text, values: [roomId] })).length;
  };

  test("is asked when its user is polled again", async () => {
    await fault(bob, NAME_PATH, { reply: { status: 500, body: {} } });
    const [older, newer] = await contestName();
    await until(async () => (await run.metric("slidecar_fetch_failures_total")) >= 1);
    await run.stop();
    expect([await current(), await kept()]).toEqual([older, 1]);
    await homeserver.control.clearFaults();
    await db.query({ text: "UPDATE devices SET wanted_at = now() - interval '1 day'" });
    run = await startIntake(db, homeserver.url);
    await want(db, bob);
    await untilCurrent(newer);
    await until(async () => (await kept()) === 0);
  });
});

describe("a user's own membership that their stream cannot prove", () => {
  const bobs = async () =>
    await untilRow<{ membership: number; stripped: Buffer | null }>(
      db,
      "SELECT m.membership, m.stripped FROM memberships m JOIN rooms r USING (room) JOIN users u USING (user_nid) WHERE r.room_id = $1 AND u.user_id = $2",
      roomId,
      bob.userId,
    );
  const untilBobs = (membership: number) => until(async () => (await bobs()).membership === membership);

  /** Alice's stream tells that Bob was kicked, and no more; Bob's tells only what came of it. */
  async function kickBob(andThen: () => Promise<void>): Promise<void> {
    const hold = await holdNextPoll(bob);
    await alice.kick(roomId, bob.userId);
    await untilBobs(Membership.leave);
    await holdNextPoll(alice);
    await andThen();
    for (let sent = 0; sent < 4; sent += 1) await alice.send(roomId, `message ${sent}`);
    await hold.remove();
  }

  test("is an invite again when they were invited after another's stream told that they are out", async () => {
    await kickBob(() => alice.invite(roomId, bob.userId));
    await untilBobs(Membership.invite);
    expect((await bobs()).stripped?.toString()).toContain("m.room.create");
  });

  test("is a join again when they came back", async () => {
    await kickBob(() => bob.join(roomId));
    await untilBobs(Membership.join);
    await until(async () => (await outcomes("decided", "membership")) === 1);
  });

  test("stays a departure while it is not known otherwise", async () => {
    await fault(bob, "*/state/m.room.member/*", { reply: { status: 500, body: {} } });
    await kickBob(() => bob.join(roomId));
    await until(async () => (await run.metric("slidecar_fetch_failures_total")) >= 1);
    expect((await bobs()).membership).toBe(Membership.leave);
    await homeserver.control.clearFaults();
    await untilBobs(Membership.join);
  });
});

describe("account data that two devices tell of", () => {
  const TYPE = "org.example.setting";
  const stored = (content: object, room = "room = 0") =>
    untilRow(
      db,
      `SELECT 1 FROM account_data a JOIN users u USING (user_nid)
        WHERE u.user_id = $1 AND a.type = $2 AND ${room} AND convert_from(a.body, 'UTF8')::jsonb -> 'content' = $3::jsonb`,
      bob.userId,
      TYPE,
      JSON.stringify(content),
    );

  /** The phone's stream stops with the first value; the tablet's, which is late, has the last one only. */
  async function contest(set: (value: number) => Promise<void>, first: () => Promise<unknown>): Promise<void> {
    const tablet = await homeserver.login(`bob${made}`, `TABLET${made}`);
    await want(db, tablet);
    await untilRow(db, "SELECT 1 FROM devices WHERE device_id = $1 AND is_synced", tablet.deviceId);
    const hold = async (device: string) => {
      await homeserver.control.untilPollsHeld(1, bob.userId);
      const held = await homeserver.control.fault({ path: "*/sync", device, effect: { hang: true } });
      await alice.send(roomId, "ends the poll before it");
      await until(async () => (await held.hits()) === 1);
      return held;
    };
    const late = await hold(tablet.deviceId);
    await set(1);
    await first();
    await hold(bob.deviceId);
    await set(2);
    await late.remove();
  }

  test("ends with what the homeserver has", async () => {
    await contest(
      (value) => bob.accountData(TYPE, { value }),
      () => stored({ value: 1 }),
    );
    await stored({ value: 2 });
    expect(await outcomes("decided", "account_data")).toBe(1);
  });

  test("of a room ends with what the homeserver has, be it nothing", async () => {
    await homeserver.control.fault({
      method: "GET",
      path: "*/account_data/*",
      effect: { reply: { status: 404, body: { errcode: "M_NOT_FOUND" } } },
    });
    await contest(
      (value) => bob.roomAccountData(roomId, TYPE, { value }),
      () => stored({ value: 1 }, "room > 0"),
    );
    await stored({}, "room > 0");
  });
});

describe("the member event of a sender", () => {
  /** Carol is in the room, and nobody brought her member event. */
  async function unknownSender(): Promise<Robot> {
    const carol = await homeserver.register(`carol${made}`, `C${made}`);
    const joined = await carol.call("POST", `/join/${encodeURIComponent(roomId)}`, {});
    expect(joined.room_id).toBe(roomId);
    await untilRow(db, CURRENT, roomId, "m.room.member", carol.userId);
    await db.query({
      text: "DELETE FROM current_state WHERE type = 'm.room.member' AND state_key = $1",
      values: [carol.userId],
    });
    return carol;
  }

  const splice = (sender: string) =>
    fault(
      alice,
      "*/sync",
      {
        splice: {
          roomId,
          part: "timeline",
          event: {
            event_id: `$spliced${made}`,
            type: "m.room.message",
            sender,
            origin_server_ts: Date.now(),
            content: { body: "hello", msgtype: "m.text" },
          },
        },
      },
      1,
    );

  test("follows when no stream brought it", async () => {
    const carol = await unknownSender();
    const before = run.announced.at(-1) ?? 0;
    await splice(carol.userId);
    for (const poll of ["that is held", "that is met"])
      await untilStored(await alice.send(roomId, `ends the poll ${poll}`));
    await untilRow(db, CURRENT, roomId, "m.room.member", carol.userId);
    await until(async () => (await outcomes("decided", "member")) === 1);
    expect(run.announced.at(-1)).toBeGreaterThan(before);
  });

  test("is asked for once when the homeserver has none", async () => {
    const ghost = `@ghost${made}:example.org`;
    for (const times of [1, 2]) {
      await homeserver.control.clearFaults();
      await splice(ghost);
      await untilStored(await alice.send(roomId, `ends the poll ${times}`));
    }
    await until(async () => (await outcomes("absent", "member")) === 1);
    expect(await homeserver.control.requests(encodeURIComponent(ghost))).toHaveLength(1);
  });
});
