import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { SyncRequest } from "../../src/engine/request.ts";
import { config, request } from "../support/engine.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { until } from "../support/intake-run.ts";
import { roomIn, SyncWorld } from "../support/sync-world.ts";
import { TrapWorld } from "../support/trap-world.ts";

/** More than a response holds. */
const MANY = 25;
/** Nobody waits so long: what ends a poll is always something else. */
const LONG_MS = 30_000;

let world: TrapWorld;
/** Who runs the room, and two who say nothing in it. */
let kim: Robot;
let quiet: Robot[];
/** Alice's device is polled. */
let alice: Robot;
let roomId: string;

beforeAll(async () => {
  world = await TrapWorld.start("synapse");
  alice = await world.user();
});
beforeEach(async () => {
  kim = await world.stranger();
  quiet = [await world.stranger(), await world.stranger()];
  roomId = await kim.createRoom({ preset: "public_chat", name: "Room" });
  for (const robot of quiet) await robot.join(roomId);
  await chatter();
  await alice.join(roomId);
  await world.told(alice);
});
afterEach(() => world.homeserver.control.clearFaults());
afterAll(async () => {
  await world[Symbol.asyncDispose]();
});

const chatter = async () => {
  for (let n = 0; n < MANY; n++) await kim.send(roomId, `message ${n}`);
};
const wanting = (...state: Parameters<typeof config>[1][]): SyncRequest =>
  request({}, new Map([[roomId as never, config(1, ...state)]]));
const all = () => wanting("m.room.member *");

type Answer = Awaited<ReturnType<TrapWorld["ask"]>>;
const membersIn = (answer: Answer) =>
  roomIn(answer, roomId)
    ?.requiredState.filter(({ type }) => type === "m.room.member")
    .map(({ stateKey }) => stateKey)
    .sort();
const ids = (...robots: Robot[]) => robots.map(({ userId }) => userId).sort();
const asked = async () => (await world.homeserver.control.requests("/members", alice.userId)).length;
/** On a busy machine the homeserver's word may take longer than an answer is held. */
const patientReader = () => SyncWorld.start(world.db, { membersWaitMs: LONG_MS });
const hang = () => world.homeserver.control.fault({ path: "*/members", effect: { hang: true } });
/** More happens than one response of Alice's holds. */
const gap = async (meanwhile: () => Promise<unknown>) => {
  const held = await world.homeserver.control.fault({
    path: "*/sync",
    user: alice.userId,
    times: 1,
    effect: { hang: true },
  });
  await alice.accountData("org.example.end", { roomId });
  await until(async () => (await held.hits()) === 1);
  await meanwhile();
  await chatter();
  await held.release();
  await held.remove();
  await world.told(alice);
};

describe("a client that wants all members of a room", () => {
  test.each<[string, () => SyncRequest]>([
    ["by their type", all],
    ["with all state", () => wanting("* *")],
  ])("is told them at once, those included that no stream brought (%s)", async (_, wanted) => {
    await using patient = await patientReader();
    expect(membersIn(await world.ask(alice, wanted(), patient))).toEqual(ids(kim, alice, ...quiet));
  });

  test("makes the homeserver be asked once, until there was a gap", async () => {
    const before = await asked();
    await world.ask(alice, all());
    await world.ask(alice, all());
    expect((await asked()) - before).toBe(1);
    const { pos } = await world.ask(alice, all());
    await gap(async () => undefined);
    // Whatever was wished for just before.
    await world.ask(alice, { ...all(), pos });
    await until(async () => (await asked()) - before === 2);
  });

  test("is told what is known where the homeserver is slow, and the others when they are there", async () => {
    const slow = await hang();
    const first = await world.ask(alice, all());
    expect(membersIn(first)).toEqual(ids(kim, alice));
    const silent = await world.ask(alice, { ...all(), pos: first.pos, timeoutMs: 1 });
    expect(silent.response.rooms).toEqual([]);
    const later = world.ask(alice, { ...all(), pos: silent.pos, timeoutMs: LONG_MS });
    await until(async () => (await slow.hits()) === 1);
    await slow.release();
    await slow.remove();
    expect(membersIn(await later)).toEqual(ids(kim, alice, ...quiet));
    const last = await later;
    // What an answer read a moment ahead of its position may be told once more.
    const again = await world.ask(alice, { ...all(), pos: last.pos, timeoutMs: 1 });
    expect(ids(kim, alice, ...quiet)).toEqual(expect.arrayContaining([...(membersIn(again) ?? [])]));
    expect((await world.ask(alice, { ...all(), pos: again.pos, timeoutMs: 1 })).response.rooms).toEqual([]);
  });

  test("and one that wants those that its timeline needs are not told the same", async () => {
    const lazy = await world.ask(alice, wanting("lazy"));
    await world.ask(alice, all());
    const next = await world.ask(alice, { ...wanting("lazy"), pos: lazy.pos, timeoutMs: 1 });
    expect(membersIn(next) ?? []).toEqual([]);
  });

  test("is not told of those of a room that it is invited to, or was put out of", async () => {
    const bob = await world.user();
    await kim.call("POST", `/rooms/${encodeURIComponent(roomId)}/invite`, { user_id: bob.userId });
    await world.told(bob);
    expect(membersIn(await world.ask(bob, all())) ?? []).toEqual([]);
    const slow = await hang();
    const { pos } = await world.ask(alice, all());
    await until(async () => (await slow.hits()) === 1);
    await kim.call("POST", `/rooms/${encodeURIComponent(roomId)}/kick`, { user_id: alice.userId });
    await world.told(alice);
    await slow.release();
    await slow.remove();
    await until(async () => (await world.rows("SELECT FROM member_wishes")).length === 0);
    expect(membersIn(await world.ask(alice, { ...all(), pos }))).toEqual(ids(alice));
  });
});

describe("a list of members", () => {
  const member = (userId: string) => ({
    type: "m.room.member",
    state_key: userId,
    sender: userId,
    event_id: `$${userId}`,
    origin_server_ts: 1,
    content: { membership: "join" },
  });
  const stored = async () =>
    (
      await world.rows(
        "SELECT FROM current_state JOIN rooms USING (room) WHERE room_id = $1 AND type = 'm.room.member' AND nid IS NOT NULL",
        roomId,
      )
    ).length;

  test("of many is stored in parts", async () => {
    const chunk = Array.from({ length: 3_000 }, (_, n) => member(`@member${n}:test`));
    await world.homeserver.control.fault({ path: "*/members", effect: { reply: { status: 200, body: { chunk } } } });
    await world.ask(alice, all());
    await until(async () => (await stored()) >= 3_000);
    await until(async () => (await world.rows("SELECT FROM member_wishes")).length === 0);
    const parts = await world.rows(
      "SELECT DISTINCT batch FROM events JOIN rooms USING (room) WHERE room_id = $1 AND sender LIKE '@member%'",
      roomId,
    );
    expect(parts.length).toBeGreaterThan(1);
    expect(membersIn(await world.ask(alice, all()))).toHaveLength(3_002);
  });

  test.each<[string, unknown]>([
    ["no members", { chunk: [] }],
    ["no JSON", "<html>"],
    ["no list", {}],
  ])("that is %s is tried again", async (_, body) => {
    const fault = await world.homeserver.control.fault({
      path: "*/members",
      effect: { reply: { status: 200, body } },
    });
    await world.ask(alice, all());
    await until(async () => (await fault.hits()) === 1);
    await until(
      async () => (await world.rows("SELECT FROM member_wishes WHERE attempts = 1 AND taken_until > now()")).length > 0,
    );
    const [room] = await world.rows("SELECT members_batch FROM rooms WHERE room_id = $1", roomId);
    expect(room?.members_batch).toBeNull();
    await world.rows("DELETE FROM member_wishes");
  });
});

describe("the member of a sender that no stream brought", () => {
  const lazy = (): SyncRequest => request({}, new Map([[roomId as never, config(20, "lazy")]]));
  let made = 0;

  /** Alice's stream brings a message of somebody who was silent, without their member event. */
  const speak = async ({ userId }: Robot) => {
    made += 1;
    const event = {
      event_id: `$spliced${made}`,
      type: "m.room.message",
      sender: userId,
      origin_server_ts: Date.now(),
      content: { body: "hello", msgtype: "m.text" },
    };
    await world.homeserver.control.fault({
      path: "*/sync",
      user: alice.userId,
      times: 1,
      effect: { splice: { roomId, part: "timeline", event } },
    });
    for (const poll of ["that is held", "that is met"]) await kim.send(roomId, `ends the poll ${poll}`);
    return event.event_id;
  };
  /** The answer that has an event, asked for again and again; and where the next one begins. */
  const untilTold = async (pos: string, isTold: (answer: Answer) => boolean, reader?: SyncWorld) => {
    for (let from = pos; ; ) {
      const answer = await world.ask(alice, { ...lazy(), pos: from, timeoutMs: LONG_MS }, reader);
      if (isTold(answer)) return answer;
      from = answer.pos;
    }
  };
  const has = (eventId: string) => (answer: Answer) =>
    roomIn(answer, roomId)?.timeline?.events.some(({ event }) => event.eventId === eventId) === true;

  test("comes with the event", async () => {
    const [silent] = quiet as [Robot, Robot];
    await using patient = await patientReader();
    const { pos } = await world.ask(alice, lazy(), patient);
    const [answer] = await Promise.all([untilTold(pos, has(`$spliced${made + 1}`), patient), speak(silent)]);
    expect(membersIn(answer)).toContain(silent.userId);
  });

  test("follows where the homeserver is slow, and holds up the event for no longer than a moment", async () => {
    const [silent] = quiet as [Robot, Robot];
    const { pos } = await world.ask(alice, lazy());
    const slow = await world.homeserver.control.fault({
      path: `*/state/m.room.member/${encodeURIComponent(silent.userId)}`,
      effect: { hang: true },
    });
    const [answer] = await Promise.all([untilTold(pos, has(`$spliced${made + 1}`)), speak(silent)]);
    expect(membersIn(answer) ?? []).not.toContain(silent.userId);
    await slow.release();
    await slow.remove();
    const isTold = (later: Answer) => membersIn(later)?.includes(silent.userId) === true;
    expect(isTold(await untilTold(answer.pos, isTold))).toBe(true);
  });
});
