import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { Robot } from "../support/homeserver/robot.ts";
import { PROFILE_NAMES } from "../support/homeserver/start.ts";
import { until } from "../support/intake-run.ts";
import { TrapWorld } from "../support/trap-world.ts";

/** Polls ask for so many events of a room. */
const TIMELINE_LIMIT = 20;

/** Where the condition holds there is nothing to test, and no test. */
const testUnless = (condition: boolean) => (name: string, run: () => Promise<void>) => {
  if (!condition) test(name, run);
};

describe.each(PROFILE_NAMES)("before %s", (profile) => {
  let world: TrapWorld;
  let alice: Robot;
  let bob: Robot;
  let roomId: string;

  beforeAll(async () => {
    world = await TrapWorld.start(profile);
    alice = await world.user();
    bob = await world.user();
  });
  beforeEach(async () => {
    roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  });
  afterEach(async () => {
    await world.homeserver.control.clearFaults();
    await world.homeserver.control.settings({ msc4222: false, stateAfterFails: false, restoredBy: 0 });
  });
  afterAll(() => world[Symbol.asyncDispose]());

  const send = async (sender: Robot, count: number) => {
    const sent: string[] = [];
    for (let n = 0; n < count; n++) sent.push(await sender.send(roomId, `message ${n}`));
    return sent;
  };
  const agrees = async (...robots: Robot[]) => {
    await world.told(...robots);
    for (const robot of robots) expect(await world.differences(robot)).toEqual([]);
  };
  /** How often events are stored, by id. */
  const copies = async (...eventIds: string[]) => {
    const rows = await world.rows<{ event_id: string }>(
      "SELECT event_id FROM events e JOIN rooms r USING (room) WHERE r.room_id = $1 AND event_id = ANY($2)",
      roomId,
      eventIds,
    );
    return eventIds.map((eventId) => rows.filter((row) => row.event_id === eventId).length);
  };
  /** A poll of the user's that hangs until it is let go; what happens meanwhile comes in one response. */
  const whileHeldUp = async (robot: Robot, work: () => Promise<void>) => {
    await world.told(robot);
    await world.homeserver.control.untilPollsHeld(1, robot.userId);
    const hang = await world.homeserver.control.fault({
      path: "*/sync",
      user: robot.userId,
      times: 1,
      effect: { hang: true },
    });
    await robot.accountData("org.example.end", { roomId });
    await until(async () => (await hang.hits()) === 1);
    await work();
    await hang.release();
    await hang.remove();
    await world.told(robot);
  };

  describe("a timeline", () => {
    test("with a gap says so, and scrolling back from there finds everything that is missing", async () => {
      const first = await send(alice, 3);
      let sent: string[] = [];
      await whileHeldUp(alice, async () => {
        sent = await send(alice, 60);
      });
      const shown = (await world.read(alice, roomId))?.timeline;
      const ids = shown?.events.map(({ event }) => event.eventId) ?? [];
      expect(ids.length).toBeGreaterThanOrEqual(TIMELINE_LIMIT);
      expect<unknown>([ids, shown?.limited]).toEqual([sent.slice(-ids.length), true]);
      const { chunk } = await alice.messages(roomId, { from: String(shown?.prevBatch), limit: "100" });
      const missing = [...first, ...sent].filter((eventId) => !new Set<string>(ids).has(eventId));
      expect(chunk.map((event) => event.event_id)).toEqual(expect.arrayContaining(missing));
    });

    // The others fetch what is missing, or go on without a word.
    testUnless(profile !== "synapse")("is cut where the homeserver itself missed events of other servers", async () => {
      let before: string[] = [];
      const after: string[] = [];
      await whileHeldUp(alice, async () => {
        before = await send(alice, 2);
        await world.homeserver.control.gap(roomId);
        const { userId: sender } = alice;
        after.push(await world.homeserver.control.inject({ roomId, sender, content: { body: "far" } }));
      });
      const shown = (await world.read(alice, roomId))?.timeline;
      expect(shown?.events.map(({ event }) => event.eventId)).toEqual(after);
      expect(shown?.limited).toBe(true);
      const { chunk } = await alice.messages(roomId, { from: String(shown?.prevBatch), limit: "10" });
      expect(chunk.map((event) => event.event_id)).toEqual(expect.arrayContaining(before));
    });

    test("has events without what relates to them, which is told to each reader in another way", async () => {
      await bob.join(roomId);
      await world.told(alice);
      let root = "";
      await whileHeldUp(alice, async () => {
        await send(bob, TIMELINE_LIMIT);
        [root] = (await send(bob, 1)) as [string];
        const relation = { rel_type: "m.thread", event_id: root };
        await alice.send(roomId, { msgtype: "m.text", body: "reply", "m.relates_to": relation });
      });
      const [row] = await world.rows<{ unsigned: string | null }>(
        "SELECT convert_from(unsigned, 'UTF8') AS unsigned FROM events WHERE event_id = $1",
        root,
      );
      expect(row).toEqual({ unsigned: null });
    });

    test("has every event once, though two streams bring it and responses repeat it", async () => {
      await bob.join(roomId);
      await world.told(alice, bob);
      const fault = await world.homeserver.control.fault({
        path: "*/sync",
        user: bob.userId,
        times: 3,
        effect: { nextBatchBackBy: 2 },
      });
      const sent = [...(await send(alice, 4)), ...(await send(bob, 4))];
      await agrees(alice, bob);
      expect(await fault.hits()).toBe(3);
      expect(await copies(...sent)).toEqual(sent.map(() => 1));
      expect((await world.timeline(alice, roomId)).slice(-8)).toEqual(sent);
      expect((await world.timeline(bob, roomId)).slice(-8)).toEqual(sent);
    });

    test("has what a restored homeserver told with positions that had been told before", async () => {
      // No other stream brings it to the store.
      const kim = await world.stranger();
      const carol = await world.user();
      roomId = await kim.createRoom({ preset: "public_chat" });
      await carol.join(roomId);
      await world.told(carol);
      const known = await send(carol, 2);
      await world.told(carol);
      let missed: string[] = [];
      await whileHeldUp(carol, async () => {
        await world.homeserver.control.settings({ restoredBy: 6 });
        missed = await send(kim, 4);
      });
      const { length } = await world.homeserver.control.requests("/sync", carol.userId);
      const after = await send(kim, 1);
      await agrees(carol);
      const sent = [...known, ...missed, ...after];
      expect(await copies(...sent)).toEqual(sent.map(() => 1));
      expect((await world.timeline(carol, roomId)).slice(-7)).toEqual(sent);
      // The stream goes on from there.
      expect((await world.homeserver.control.requests("/sync", carol.userId)).length - length).toBeLessThan(10);
    });

    test("has an event once that stands in the state, too", async () => {
      await world.told(alice);
      const topic = await alice.setState(roomId, "m.room.topic", { topic: "twice" });
      const twice = (await alice.state(roomId)).find((event) => event.event_id === topic);
      for (const part of ["state", "timeline"] as const) {
        await world.homeserver.control.fault({
          path: "*/sync",
          user: alice.userId,
          times: 2,
          effect: { splice: { roomId, part, event: twice } },
        });
      }
      const sent = await send(alice, 2);
      await agrees(alice);
      expect(await copies(topic)).toEqual([1]);
      const shown = await world.timeline(alice, roomId);
      expect(shown.toSorted()).toEqual([...new Set(shown)].toSorted());
      expect(shown).toEqual(expect.arrayContaining([topic, ...sent]));
    });

    test("has late events of other servers once, for everybody in the same place", async () => {
      await bob.join(roomId);
      const early = await send(alice, 2);
      await world.told(alice, bob);
      const late = await world.homeserver.control.inject({ roomId, sender: alice.userId, depth: 3, forked: true });
      const after = await send(alice, 1);
      await agrees(alice, bob);
      const ofAlice = await world.timeline(alice, roomId);
      expect(ofAlice).toEqual(expect.arrayContaining([...early, late, ...after]));
      expect((await world.timeline(bob, roomId)).slice(-4)).toEqual(ofAlice.slice(-4));
      expect(await copies(late)).toEqual([1]);
    });
  });

  describe("history", () => {
    const setVisibility = (value: string) =>
      alice.setState(roomId, "m.room.history_visibility", { history_visibility: value });

    test("that is for members is not shown to who comes later, though it is stored", async () => {
      await setVisibility("joined");
      const secret = await send(alice, 3);
      await world.told(alice);
      await bob.join(roomId);
      const open = await send(alice, 2);
      await agrees(alice, bob);
      const shown = await world.timeline(bob, roomId);
      expect(shown).toEqual(expect.arrayContaining(open));
      for (const eventId of secret) expect(shown).not.toContain(eventId);
      expect(await world.timeline(alice, roomId)).toEqual(expect.arrayContaining([...secret, ...open]));
    });

    test("that was for members stays so for what was sent then, also for a stream that begins after it", async () => {
      const [owner, keeper] = [await world.stranger(), await world.stranger()];
      roomId = await owner.createRoom({ preset: "public_chat" });
      await keeper.join(roomId);
      const setVisibility = (value: string) =>
        owner.setState(roomId, "m.room.history_visibility", { history_visibility: value });
      await setVisibility("joined");
      await send(owner, TIMELINE_LIMIT);
      const secret = await send(owner, 5);
      await setVisibility("shared");
      const open = await send(owner, 2);
      // The first that is heard of the room: some of what was for members, and that it is so no longer.
      await world.poll(keeper);
      await bob.join(roomId);
      await agrees(bob, keeper);
      const shown = await world.timeline(bob, roomId);
      expect(shown).toEqual(expect.arrayContaining(open));
      for (const eventId of secret) expect(shown).not.toContain(eventId);
    });
  });

  describe("state", () => {
    test("is equal after a gap that hid changes of it", async () => {
      await world.told(alice);
      await whileHeldUp(alice, async () => {
        await alice.setState(roomId, "m.room.topic", { topic: "in the gap" });
        await alice.setState(roomId, "m.room.name", { name: "Renamed" });
        await send(alice, 30);
        await alice.setState(roomId, "m.room.name", { name: "Renamed again" });
      });
      await agrees(alice);
      expect((await world.read(alice, roomId))?.name).toBe("Renamed again");
    });

    // Dendrite does not know MSC4222.
    testUnless(profile === "dendrite")("is what state_after says, where an event lost state resolution", async () => {
      await world.homeserver.control.settings({ msc4222: true });
      await world.told(alice);
      const lost = await world.homeserver.control.inject({
        roomId,
        sender: alice.userId,
        type: "m.room.name",
        stateKey: "",
        content: { name: "Lost" },
        forked: true,
        loses: true,
      });
      await send(alice, 1);
      await agrees(alice);
      expect(await copies(lost)).toEqual([1]);
      expect((await world.read(alice, roomId))?.name).toBe("Room");
    });

    test("that is reset to an older event is that event again, where the homeserver tells it", async () => {
      await world.homeserver.control.settings({ msc4222: true });
      const [old] = (await alice.state(roomId)).filter(({ type }) => type === "m.room.name");
      await alice.setState(roomId, "m.room.name", { name: "New" });
      await world.told(alice);
      await world.homeserver.control.resetState(roomId, "m.room.name", "", old?.event_id);
      await send(alice, 1);
      await agrees(alice);
      expect((await world.read(alice, roomId))?.name).toBe("Room");
    });

    test("of a room of version 12 is stored, whose create event has a room id or none", async () => {
      roomId = await alice.createRoom({ room_version: "12", name: "Twelve" });
      await alice.invite(roomId, bob.userId);
      await world.told(alice, bob);
      expect(String((await world.read(bob, roomId))?.strippedState)).toContain("m.room.create");
      await bob.join(roomId);
      await agrees(alice, bob);
      expect(roomId).not.toContain(":");
      expect((await world.read(bob, roomId))?.name).toBe("Twelve");
    });
  });

  test("a first sync whose answer was lost is repeated, be its repetition an old answer, and ends complete", async () => {
    const carol = await world.stranger();
    await carol.join(roomId);
    const fault = await world.homeserver.control.fault({
      path: "*/sync",
      user: carol.userId,
      since: false,
      times: 1,
      effect: { cutAfterBytes: 200 },
    });
    const polling = world.poll(carol);
    await until(async () => (await fault.hits()) === 1);
    const between = await send(alice, 1);
    await polling;
    const after = await send(alice, 1);
    await agrees(carol);
    expect((await world.timeline(carol, roomId)).slice(-2)).toEqual([...between, ...after]);
  });

  test("counts of unread events go up with messages and down with the user's own receipt", async () => {
    await bob.join(roomId);
    await world.told(bob);
    const sent = await send(alice, 3);
    await world.told(bob);
    expect((await world.read(bob, roomId))?.notificationCount).toBe(3);
    await bob.receipt(roomId, sent.at(-1)!);
    await world.told(bob);
    expect((await world.read(bob, roomId))?.notificationCount).toBe(0);
    // Something else in the room tells no counts, and takes none away.
    await alice.typing(roomId);
    await send(alice, 1);
    await bob.tag(roomId, "m.lowpriority");
    await world.told(bob);
    expect((await world.read(bob, roomId))?.notificationCount).toBe(1);
  });

  test("a private receipt comes with the stream of its user, and with no other", async () => {
    await bob.join(roomId);
    const [eventId] = (await send(alice, 1)) as [string];
    await bob.receipt(roomId, eventId, "m.read.private");
    await world.told(alice, bob);
    const rows = await world.rows<{ user_id: string; receipt_type: string }>(
      "SELECT user_id, receipt_type FROM receipts JOIN rooms USING (room) WHERE room_id = $1 AND receipt_type = 'm.read.private'",
      roomId,
    );
    expect(rows).toEqual([{ user_id: bob.userId, receipt_type: "m.read.private" }]);
  });

  test("account data that was emptied is stored as empty", async () => {
    const type = `org.example.${roomId}`;
    await alice.accountData(type, { a: 1 });
    await world.told(alice);
    await alice.accountData(type, {});
    await world.told(alice);
    const [row] = await world.rows<{ body: Buffer }>("SELECT body FROM account_data WHERE type = $1", type);
    expect(JSON.parse(String(row?.body))).toEqual({ type, content: {} });
  });

  // Dendrite keeps a member back that it sent before, whatever the filter says; then it is asked for.
  test("the member of a sender comes with the repetition of a lost response", async () => {
    const quiet = await world.stranger();
    await quiet.join(roomId);
    await send(alice, TIMELINE_LIMIT + 5);
    const carol = await world.stranger();
    await carol.join(roomId);
    await world.poll(carol);
    const fault = await world.homeserver.control.fault({
      path: "*/sync",
      user: carol.userId,
      times: 2,
      effect: { cutAfterBytes: 300 },
    });
    await carol.accountData("org.example.first", {});
    await quiet.send(roomId, "hello");
    await agrees(carol);
    expect(await fault.hits()).toBe(2);
    await until(async () => (await world.current(roomId, "m.room.member", quiet.userId)) !== undefined);
  });
});
