import { afterAll, afterEach, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { until } from "../support/intake-run.ts";
import { eventsOf } from "../support/sync-world.ts";
import { TrapWorld } from "../support/trap-world.ts";

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let world: TrapWorld;
  let alice: Robot;
  let bob: Robot;

  beforeAll(async () => {
    world = await TrapWorld.start(profile);
    alice = await world.user();
    bob = await world.user();
  });
  afterEach(() => world.homeserver.control.clearFaults());
  afterAll(() => world[Symbol.asyncDispose]());

  const send = async (sender: Robot, roomId: string, count: number) => {
    const sent: string[] = [];
    for (let n = 0; n < count; n++) sent.push(await sender.send(roomId, `message ${n}`));
    return sent;
  };

  /** The user's stream tells of what happens meanwhile in one response, of which no more than its last events. */
  const withGap = async (robot: Robot, work: () => Promise<unknown>) => {
    await world.told(robot);
    await world.homeserver.control.untilPollsHeld(1, robot.userId);
    const hang = await world.homeserver.control.fault({
      path: "*/sync",
      user: robot.userId,
      times: 1,
      effect: { hang: true },
    });
    await robot.accountData("org.example.end", {});
    await until(async () => (await hang.hits()) === 1);
    await work();
    await hang.release();
    await hang.remove();
    await world.told(robot);
  };

  const requests = async (robot: Robot) => (await world.homeserver.control.requests("/messages", robot.userId)).length;

  /** Answers are given whether history came or not: sooner or later one has it. */
  const untilShown = async (robot: Robot, roomId: string, limit: number, count: number) => {
    await until(async () => eventsOf(await world.subscribed(robot, roomId, limit))?.length === count);
    return await world.subscribed(robot, roomId, limit);
  };

  test("a room that is asked more of than is stored gets it from the homeserver, and closes its gap", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    const before = await send(alice, roomId, 3);
    let sent: string[] = [];
    await withGap(alice, async () => {
      sent = await send(alice, roomId, 45);
    });
    const order = (await world.timeline(alice, roomId)).length;
    expect(order).toBeLessThan(45);
    const some = await untilShown(alice, roomId, 30, 30);
    expect<unknown>([eventsOf(some), some?.timeline?.limited]).toEqual([sent.slice(-30), true]);
    const { chunk } = await alice.messages(roomId, { from: String(some?.timeline?.prevBatch), limit: "100" });
    expect(chunk.map((event) => event.event_id)).toEqual(
      expect.arrayContaining([...before, ...sent.slice(0, sent.length - 30)]),
    );
    const all = await untilShown(alice, roomId, 100, chunk.length + 30);
    expect(eventsOf(all)).toEqual([...chunk.map((event) => event.event_id).reverse(), ...sent.slice(-30)]);
    expect(all?.timeline?.limited).toBe(false);
    // Whoever's stream it is that has the hole, the history of a room is open to all its members.
    expect(await world.differences(alice)).toEqual([]);
    const asked = await requests(alice);
    await world.subscribed(alice, roomId, 100);
    expect(await requests(alice)).toBe(asked);
  });

  test("is not brought in where it was for members, be it for who was there", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await alice.setState(roomId, "m.room.history_visibility", { history_visibility: "joined" });
    let hidden: string[] = [];
    await withGap(alice, async () => {
      hidden = await send(alice, roomId, 30);
      await alice.setState(roomId, "m.room.history_visibility", { history_visibility: "shared" });
      await send(alice, roomId, 30);
      await bob.join(roomId);
      await send(alice, roomId, 2);
    });
    await world.told(bob);
    const open = (await alice.messages(roomId, { limit: "33" })).chunk.map((event) => event.event_id).reverse();
    for (const reader of [alice, bob]) {
      // tuwunel does not tell what was in force at the first event after the gap.
      const room = profile === "tuwunel" ? world.subscribed(reader, roomId, 100) : untilShown(reader, roomId, 100, 33);
      const shown = eventsOf(await room) ?? [];
      expect(shown.length).toBeGreaterThan(2);
      expect<unknown>([shown, (await room)?.timeline?.limited]).toEqual([open.slice(-shown.length), true]);
    }
    const stored = await world.rows("SELECT event_id FROM events WHERE event_id = ANY($1)", hidden);
    expect(stored).toEqual([]);
  });

  test("is stored once when two users ask for it at a time", async () => {
    const roomId = await alice.createRoom({ preset: "public_chat" });
    await bob.join(roomId);
    let sent: string[] = [];
    await withGap(alice, () =>
      withGap(bob, async () => {
        sent = await send(alice, roomId, 40);
      }),
    );
    const both = await Promise.all([alice, bob].map((reader) => untilShown(reader, roomId, 40, 40)));
    for (const room of both) expect(eventsOf(room)).toEqual(sent);
    const [count] = await world.rows<{ stored: number }>(
      "SELECT count(*)::int AS stored FROM events WHERE event_id = ANY($1)",
      sent,
    );
    expect(count?.stored).toBe(40);
  });

  // Nothing of it is one homeserver's alone.
  const failures = profile === "synapse" ? describe : undefined;
  failures?.("and a request for it that does not succeed", () => {
    test.each([
      ["is refused", 1, { reply: { status: 403, body: { errcode: "M_FORBIDDEN", error: "no" } } }],
      ["is not known", 1, { reply: { status: 404, body: { errcode: "M_NOT_FOUND", error: "no" } } }],
      ["fails", 1, { reply: { status: 502, body: "bad gateway" } }],
      ["comes too often", 1, { reply: { status: 429, body: { errcode: "M_LIMIT_EXCEEDED", retry_after_ms: 9_000 } } }],
      ["is no JSON", 1, { reply: { status: 200, body: '{"chunk": [{' } }],
      ["is of another kind", 1, { reply: { status: 200, body: { chunk: { event_id: "$x" }, end: 7 } } }],
      ["has events of another room", 1, { reply: { status: 200, body: { chunk: [{ room_id: "!x:example.org" }] } } }],
      ["has pages without events for ever", 2, { reply: { status: 200, body: { chunk: [], end: "t1" } } }],
    ] as const)("leaves an answer as it is, where it %s", async (_name, requestsMade, effect) => {
      const roomId = await alice.createRoom({ preset: "public_chat" });
      let sent: string[] = [];
      await withGap(alice, async () => {
        sent = await send(alice, roomId, 25);
      });
      const stored = await world.timeline(alice, roomId);
      const asked = await requests(alice);
      await world.homeserver.control.fault({ path: "*/messages", user: alice.userId, effect });
      const settled = async () => (await world.rows("SELECT FROM history_wants WHERE is_settled")).length;
      const before = await settled();
      const first = await world.subscribed(alice, roomId, 24);
      await until(async () => (await settled()) > before);
      const again = await world.subscribed(alice, roomId, 24);
      for (const { timeline } of [first!, again!]) {
        expect<unknown>([eventsOf({ timeline } as never), timeline?.limited]).toEqual([
          sent.slice(-stored.length),
          true,
        ]);
      }
      expect((await requests(alice)) - asked).toBe(requestsMade);
      expect(await world.differences(alice)).toEqual([]);
    });

    test("holds up an answer for no longer than a moment, and is there for the next one", async () => {
      const roomId = await alice.createRoom({ preset: "public_chat" });
      let sent: string[] = [];
      await withGap(alice, async () => {
        sent = await send(alice, roomId, 25);
      });
      const stored = await world.timeline(alice, roomId);
      const hang = await world.homeserver.control.fault({
        path: "*/messages",
        user: alice.userId,
        effect: { hang: true },
      });
      const first = await world.subscribed(alice, roomId, 24);
      expect(eventsOf(first)).toEqual(sent.slice(-stored.length));
      await until(async () => (await hang.hits()) === 1);
      await hang.release();
      expect(eventsOf(await untilShown(alice, roomId, 24, 24))).toEqual(sent.slice(-24));
    });
  });
});
