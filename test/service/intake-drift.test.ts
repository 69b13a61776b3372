import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import { Membership } from "../../src/model/membership.ts";
import { DEVICES_CHANNEL } from "../../src/store/devices.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";
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
/** Alice's room, into which Bob came; Bob alone is polled. */
beforeEach(async () => {
  made += 1;
  alice = await homeserver.register(`alice${made}`, `A${made}`);
  bob = await homeserver.register(`bob${made}`, `B${made}`);
  roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await bob.join(roomId);
  run = await startIntake(db, homeserver.url);
  await want(db, bob);
  await deviceOf(bob, "is_synced");
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

const deviceOf = ({ deviceId }: Robot, condition: string) =>
  untilRow<{ device_nid: number }>(
    db,
    `SELECT device_nid FROM devices WHERE device_id = $1 AND ${condition}`,
    deviceId,
  );

/** Bob's device is idle for a time in which something happens, and is back then. */
async function idle(meanwhile: () => Promise<void>): Promise<void> {
  await db.query({
    text: "UPDATE devices SET wanted_at = now() - interval '2 hours' WHERE device_id = $1",
    values: [bob.deviceId],
  });
  const { device_nid: device } = await deviceOf(bob, "true");
  await db.notify(DEVICES_CHANNEL, String(device));
  await deviceOf(bob, "owner IS NULL");
  await meanwhile();
  await want(db, bob);
  await homeserver.control.untilPollsHeld(1, bob.userId);
}

const membership = async () =>
  (
    await db.query<{ membership: number }>({
      text: `SELECT m.membership FROM memberships m JOIN rooms r USING (room) JOIN users u USING (user_nid)
              WHERE r.room_id = $1 AND u.user_id = $2`,
      values: [roomId, bob.userId],
    })
  )[0]?.membership;
const untilMembership = (wanted: Membership) => until(async () => (await membership()) === wanted);
const drift = (kind: string) => run.metric("slidecar_drift_total", { kind });
const asked = async () => (await homeserver.control.requests("/joined_rooms", bob.userId)).length;

const ALL_STATE = `
  SELECT e.event_id FROM current_state s JOIN rooms r USING (room) JOIN events e USING (nid) WHERE r.room_id = $1`;
const CURRENT = `${ALL_STATE} AND s.type = $2`;
const FORGET = `DELETE FROM memberships AS m USING rooms AS r WHERE r.room = m.room AND r.room_id = $1`;

describe("when a device comes back, its user's rooms are compared with the homeserver's", () => {
  test("and one that lost its member event without a word is left", async () => {
    await idle(() => homeserver.control.resetState(roomId, "m.room.member", bob.userId));
    await untilMembership(Membership.leave);
    expect([await drift("joined_here"), await drift("joined_upstream")]).toEqual([1, 0]);
    expect(run.log.find(({ msg }) => msg.startsWith("rooms differ"))).toMatchObject({ user: bob.userId, room: roomId });
  });

  test("and one whose membership is not stored is joined", async () => {
    await idle(async () => void (await db.query({ text: FORGET, values: [roomId] })));
    await untilMembership(Membership.join);
    expect([await drift("joined_here"), await drift("joined_upstream")]).toEqual([0, 1]);
  });

  test("and one that is not stored whole is read whole", async () => {
    await idle(async () => {
      await db.query({ text: FORGET, values: [roomId] });
      await db.query({
        text: "DELETE FROM current_state AS s USING rooms AS r WHERE r.room = s.room AND r.room_id = $1",
        values: [roomId],
      });
      await db.query({
        text: "UPDATE rooms SET is_complete = false, name = NULL WHERE room_id = $1",
        values: [roomId],
      });
    });
    await untilMembership(Membership.join);
    const [room] = await db.query({ text: "SELECT is_complete, name FROM rooms WHERE room_id = $1", values: [roomId] });
    expect(room).toEqual({ is_complete: true, name: "Room" });
  });

  test.each([
    ["no list", {}],
    ["no room ids", { joined_rooms: ["x"] }],
    ["an error", { errcode: "M_FORBIDDEN" }],
  ])("and an answer with %s changes nothing", async (_, body) => {
    await homeserver.control.fault({ path: "*/joined_rooms", effect: { reply: { status: 200, body } } });
    await idle(async () => {});
    await until(() => run.log.some(({ msg }) => msg.startsWith("the rooms of a user")));
    expect([await membership(), await drift("joined_here")]).toEqual([Membership.join, 0]);
  });

  test("and a list that lacks a room puts nobody out of it, who is still a member there", async () => {
    await homeserver.control.fault({
      path: "*/joined_rooms",
      effect: { reply: { status: 200, body: { joined_rooms: [] } } },
    });
    await idle(async () => {});
    await until(
      async () => (await run.metric("slidecar_fetches_total", { kind: "membership", outcome: "decided" })) === 1,
    );
    expect([await membership(), await drift("joined_here")]).toEqual([Membership.join, 1]);
  });

  test("and the state of some of them, of which what no stream tells is mended", async () => {
    const topic = { type: "m.room.topic", state_key: "" };
    await alice.call("PUT", `/rooms/${encodeURIComponent(roomId)}/state/m.room.topic/`, { topic: "Topic" });
    await untilRow(db, CURRENT, roomId, topic.type);
    await db.query({ text: "UPDATE rooms SET state_compared_at = NULL" });
    await idle(async () => {
      await homeserver.control.resetState(roomId, topic.type, "");
      // As no stream brought it.
      await db.query({
        text: "DELETE FROM current_state AS s USING rooms AS r WHERE r.room = s.room AND r.room_id = $1 AND s.type = $2",
        values: [roomId, "m.room.join_rules"],
      });
    });
    await until(async () => (await db.query({ text: CURRENT, values: [roomId, topic.type] })).length === 0);
    await untilRow(db, CURRENT, roomId, "m.room.join_rules");
    expect([await drift("state_here"), await drift("state_upstream"), await drift("state_other")]).toEqual([1, 1, 0]);
    expect(run.log.find(({ msg }) => msg.startsWith("state differs"))).toMatchObject({ room: roomId, count: 2 });
  });

  test.each<[string, (state: readonly object[]) => unknown]>([
    ["no member's view", (state) => state.filter((event) => !JSON.stringify(event).includes(bob.userId))],
    ["nothing", () => []],
    ["refused", () => undefined],
    ["no JSON", () => "<html>"],
  ])("and a state that is %s changes nothing", async (_, bend) => {
    const body = bend(await bob.state(roomId));
    const reply = body === undefined ? { status: 403, body: { errcode: "M_FORBIDDEN" } } : { status: 200, body };
    // Not even the own member event is shown.
    await homeserver.control.fault({ path: body === undefined ? "*/state*" : "*/state", effect: { reply } });
    const before = (await db.query({ text: ALL_STATE, values: [roomId] })).length;
    await idle(async () => {});
    await until(async () => (await homeserver.control.requests("/state", bob.userId)).length > 0);
    await until(async () => {
      // Once as always, and once to see whether Bob is out of the room.
      return (await asked()) === 2 || run.log.some(({ msg }) => msg.startsWith("the state of a room could not"));
    });
    expect((await db.query({ text: ALL_STATE, values: [roomId] })).length).toBe(before);
    expect(await membership()).toBe(Membership.join);
  });

  test("once an hour at most", async () => {
    await idle(async () => {});
    await until(async () => (await asked()) === 1);
    const mark = await bob.createRoom({});
    await untilRow(db, "SELECT 1 FROM rooms WHERE room_id = $1", mark);
    await idle(async () => {});
    await bob.send(mark, "ends the poll");
    await homeserver.control.untilPollsHeld(1, bob.userId);
    expect(await asked()).toBe(1);
    await db.query({ text: "UPDATE users SET reconciled_at = now() - interval '61 minutes'" });
    await idle(async () => {});
    await until(async () => (await asked()) === 2);
  });
});
