import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { Effect } from "../support/homeserver/faults.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, PROFILE_NAMES, startHomeserver } from "../support/homeserver/start.ts";
import { type IntakeRun, startIntake, until, untilRow, want } from "../support/intake-run.ts";

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let db: TestDatabase;
  let homeserver: Homeserver & AsyncDisposable;
  let intake: IntakeRun;
  let made = 0;

  beforeAll(async () => {
    [db, homeserver] = await Promise.all([openTestDatabase(), startHomeserver({ profile })]);
    intake = await startIntake(db, homeserver.url, { limits: { idleMs: 500 } });
  });
  afterAll(async () => {
    await intake[Symbol.asyncDispose]();
    await homeserver[Symbol.asyncDispose]();
    await db[Symbol.asyncDispose]();
  });

  /** A user whose device is polled, waiting for news. */
  async function polled(): Promise<{ robot: Robot; roomId: string }> {
    made += 1;
    const number = made;
    const robot = await homeserver.register(`user${number}`, `DEVICE${number}`);
    const roomId = await robot.createRoom({ name: `Room ${number}` });
    await want(db, robot);
    await untilStored(robot);
    await homeserver.control.untilPollsHeld(1, robot.userId);
    return { robot, roomId };
  }

  const untilStored = ({ deviceId }: Robot) =>
    untilRow(db, "SELECT since FROM devices WHERE device_id = $1 AND is_synced", deviceId);
  const untilEvent = (eventId: string) => untilRow(db, "SELECT nid FROM events WHERE event_id = $1", eventId);
  const sinceOf = async ({ deviceId }: Robot) =>
    (
      await db.query<{ since: string }>({ text: "SELECT since FROM devices WHERE device_id = $1", values: [deviceId] })
    )[0]?.since;
  const pollsOf = async ({ userId }: Robot) =>
    (await homeserver.control.requests("/sync", userId)).map(({ query }) => query.since);

  test("a room and what happens in it come from the homeserver into the store", async () => {
    const { robot, roomId } = await polled();
    const announced = intake.announced.length;
    const eventId = await robot.send(roomId, "hello");
    await untilEvent(eventId);
    await until(() => intake.announced.length > announced);
    const [room] = await db.query({
      text: "SELECT name, is_complete, joined_count FROM rooms WHERE room_id = $1",
      values: [roomId],
    });
    expect(room).toEqual({ name: `Room ${made}`, is_complete: true, joined_count: 1 });
    const [request] = await homeserver.control.requests("/sync", robot.userId);
    expect(request?.query).toMatchObject({ set_presence: "offline", timeout: "0", use_state_after: "true" });
    expect(JSON.parse(String(request?.query.filter))).toMatchObject({ presence: { types: [] } });
    expect(await intake.metric("slidecar_polls_total", { outcome: "news" })).toBeGreaterThan(1);
  });

  describe("a poll that fails", () => {
    const html = { reply: { status: 200, body: "<html>login</html>" } };
    const faults: [string, Effect][] = [
      ["is cut in the middle of its body", { cutAfterBytes: 60 }],
      ["is reset before the first byte", { resetAfterBytes: 0 }],
      ["is reset in the middle of its body", { resetAfterBytes: 60 }],
      ["is answered with a page", html],
      ["is answered with JSON that is no sync response", { reply: { status: 200, body: { rooms: {} } } }],
      ["is answered with 502 and a page", { reply: { status: 502, body: "<html>Bad Gateway</html>" } }],
      ["is answered with 429", { reply: { status: 429, body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 10 } } }],
      ["is answered with 403", { reply: { status: 403, body: { errcode: "M_FORBIDDEN", error: "no" } } }],
      ["hangs in the middle of its body", { trickle: { bytes: 60, everyMs: 600_000 } }],
    ];

    interface Repetition {
      /** Since when the poll asked that met the fault, and the one after it. */
      readonly asked: readonly unknown[];
      readonly before: string | undefined;
      readonly moved: string | undefined;
      readonly hits: number;
      readonly toDevice: number;
    }
    const repetitions = new Map<string, Promise<Repetition>>();

    // Each is met by a user of its own, all at once: a poll that failed is repeated a second later at the earliest.
    beforeAll(() => {
      for (const [name, effect] of faults) {
        const repetition = repeated(effect);
        repetition.catch(() => {});
        repetitions.set(name, repetition);
      }
    });

    async function repeated(effect: Effect): Promise<Repetition> {
      const { robot, roomId } = await polled();
      const before = await sinceOf(robot);
      const polls = await pollsOf(robot);
      const fault = await homeserver.control.fault({ path: "*/sync", user: robot.userId, times: 1, effect });
      // The poll that is held was met by no fault; its answer ends it.
      await untilEvent(await robot.send(roomId, "before the fault"));
      const moved = await sinceOf(robot);
      const second = await robot.send(roomId, "met by the fault");
      await robot.sendToDevice(robot.userId, robot.deviceId, { n: 1 });
      await untilEvent(second);
      const asked = (await pollsOf(robot)).slice(polls.length, polls.length + 2);
      const inbox = "SELECT m.sequence FROM to_device_messages m JOIN devices USING (device_nid) WHERE device_id = $1";
      await untilRow(db, inbox, robot.deviceId);
      const { length: toDevice } = await db.query({ text: inbox, values: [robot.deviceId] });
      return { asked, before, moved, hits: await fault.hits(), toDevice };
    }

    test.each(faults)("is repeated from where it was when it %s", async (name) => {
      const { asked, before, moved, hits, toDevice } = await repetitions.get(name)!;
      expect(moved).not.toBe(before);
      expect(hits).toBe(1);
      expect(asked).toEqual([moved, moved]);
      expect(toDevice).toBe(1);
    });

    test("tells what it met, in the log and in numbers", async () => {
      const { robot, roomId } = await polled();
      const before = await intake.metric("slidecar_polls_total", { outcome: "limited" });
      const reply = { status: 429, body: { errcode: "M_LIMIT_EXCEEDED" } };
      await homeserver.control.fault({ path: "*/sync", user: robot.userId, times: 1, effect: { reply } });
      await robot.send(roomId, "one");
      await untilEvent(await robot.send(roomId, "two"));
      expect(await intake.metric("slidecar_polls_total", { outcome: "limited" })).toBe(before + 1);
      const line = intake.log.findLast(({ msg, user }) => msg === "poll failed" && user === robot.userId);
      expect(line).toMatchObject({
        device: robot.deviceId,
        status: 429,
        errcode: "M_LIMIT_EXCEEDED",
        retryAfterMs: 1_000,
      });
    });

    test("for a hostile event sets that aside and goes on", async () => {
      const { robot, roomId } = await polled();
      const before = await intake.metric("slidecar_set_aside_total", { what: "event" });
      const splice = { roomId, part: "timeline" as const, event: { type: 5, content: null, event_id: ["x"] } };
      await homeserver.control.fault({ path: "*/sync", user: robot.userId, times: 1, effect: { splice } });
      await robot.send(roomId, "one");
      await untilEvent(await robot.send(roomId, "two"));
      expect(await intake.metric("slidecar_set_aside_total", { what: "event" })).toBe(before + 1);
      const [room] = await db.query({ text: "SELECT quarantined FROM rooms WHERE room_id = $1", values: [roomId] });
      expect(room).toEqual({ quarantined: null });
    });
  });

  test("a first sync of many rooms is stored in parts and seen early", async () => {
    made += 1;
    const robot = await homeserver.register(`user${made}`, `DEVICE${made}`);
    const rooms = await homeserver.control.addRooms(robot.userId, 120);
    // The end of the body comes late.
    await homeserver.control.fault({
      path: "*/sync",
      user: robot.userId,
      since: false,
      effect: { trickle: { bytes: 40_000, everyMs: 40 } },
    });
    await want(db, robot);
    const count = `SELECT count(*)::int AS count FROM rooms WHERE room_id = ANY($1) AND is_complete HAVING count(*) > 0`;
    const early = await untilRow<{ count: number }>(db, count, rooms);
    expect(await sinceOf(robot)).toBeNull();
    expect(early.count).toBeLessThan(120);
    await untilStored(robot);
    const all = await untilRow<{ count: number }>(db, count, rooms);
    expect(all.count).toBe(120);
  });

  test("two devices of one user and a second user bring a room together", async () => {
    const { robot: alice, roomId } = await polled();
    const { robot: bob } = await polled();
    const tablet = await homeserver.login(alice.userId.slice(1).split(":")[0]!, `TABLET${made}`);
    await want(db, tablet);
    await untilStored(tablet);
    await alice.invite(roomId, bob.userId);
    await bob.join(roomId);
    const sent: string[] = [];
    for (let n = 0; n < 5; n += 1)
      sent.push(await alice.send(roomId, `from alice ${n}`), await bob.send(roomId, `from bob ${n}`));
    await untilEvent(sent.at(-1)!);
    const stored = await db.query<{ event_id: string }>({
      text: `SELECT e.event_id FROM events e JOIN rooms r USING (room)
            WHERE r.room_id = $1 AND e.type = 'm.room.message' ORDER BY e.order_key`,
      values: [roomId],
    });
    expect(stored.map(({ event_id: eventId }) => eventId)).toEqual(sent);
    await untilRow(
      db,
      "SELECT FROM memberships m JOIN users u USING (user_nid) WHERE u.user_id = $1 AND m.membership = 1",
      bob.userId,
    );
    // Another stream may have brought the event first; who sent it is known when its own has come.
    const echoes = `SELECT d.device_id FROM transaction_ids t JOIN devices d USING (device_nid) JOIN events e USING (nid)
       WHERE e.event_id = $1 AND t.transaction_id IS NOT NULL`;
    await untilRow(db, echoes, sent[0]);
    expect(await db.query({ text: echoes, values: [sent[0]] })).toEqual([{ device_id: alice.deviceId }]);
  });

  test("a further device begins without rooms, and goes on with them", async () => {
    const { robot: alice, roomId } = await polled();
    const tablet = await homeserver.login(alice.userId.slice(1).split(":")[0]!, `TABLET${made}`);
    await alice.sendToDevice(alice.userId, tablet.deviceId, { kept: true });
    await want(db, tablet);
    await untilStored(tablet);
    await homeserver.control.untilPollsHeld(2, alice.userId);
    const polls = (await homeserver.control.requests("/sync", alice.userId)).filter(
      ({ deviceId }) => deviceId === tablet.deviceId,
    );
    const roomsOf = ({ query }: (typeof polls)[number]) => JSON.parse(String(query.filter)).room.rooms;
    expect(polls.map((poll) => [poll.query.since === undefined, roomsOf(poll)])).toEqual([
      [true, []],
      [false, undefined],
    ]);
    expect(
      await db.query({
        text: "SELECT FROM to_device_messages m JOIN devices d USING (device_nid) WHERE d.device_id = $1",
        values: [tablet.deviceId],
      }),
    ).toHaveLength(1);
    await untilEvent(await alice.send(roomId, "told to both"));
  });
});
