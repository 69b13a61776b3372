import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import type { Robot, SyncBody } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";

// What these tests expect was seen of Synapse 1.157.1.

let homeserver: Homeserver & AsyncDisposable;
let made = 0;

beforeAll(async () => {
  homeserver = await startHomeserver();
});
afterAll(async () => {
  await homeserver[Symbol.asyncDispose]();
});

async function pair(): Promise<{ alice: Robot; bob: Robot; roomId: string }> {
  made += 1;
  const alice = await homeserver.register(`alice${made}`);
  const bob = await homeserver.register(`bob${made}`);
  const roomId = await alice.createRoom({ preset: "public_chat", name: "Room" });
  await bob.join(roomId);
  return { alice, bob, roomId };
}

const roomOf = (body: SyncBody, roomId: string) => body.rooms!.join![roomId]!;
const bodies = (events: readonly { content: Record<string, unknown> }[]) => events.map(({ content }) => content.body);

async function sendMany(robot: Robot, roomId: string, count: number): Promise<string[]> {
  const texts = Array.from({ length: count }, (_, index) => `m${index}`);
  for (const text of texts) await robot.send(roomId, text);
  return texts;
}

describe("the timeline of the scripted homeserver", () => {
  test("a gap is limited, and /messages from its prev_batch joins up with the last answer", async () => {
    const { alice, bob, roomId } = await pair();
    const before = await alice.sync({ filter: { room: { timeline: { limit: 5 } } } });
    const texts = await sendMany(bob, roomId, 12);
    const after = await alice.sync({ since: before.next_batch, filter: { room: { timeline: { limit: 5 } } } });
    const { timeline } = roomOf(after, roomId);
    expect(timeline.limited).toBe(true);
    expect(bodies(timeline.events)).toEqual(texts.slice(-5));

    const page = await alice.messages(roomId, { from: timeline.prev_batch, limit: "7" });
    expect(bodies(page.chunk)).toEqual(texts.slice(0, 7).reverse());
    const next = await alice.messages(roomId, { from: page.end!, limit: "1" });
    expect(next.chunk[0]!.event_id).toBe(roomOf(before, roomId).timeline.events.at(-1)!.event_id);
  });

  test("a room that a first sync sends whole has its prev_batch at its end, so that scrollback repeats it", async () => {
    const { alice, roomId } = await pair();
    const { timeline } = roomOf(await alice.sync({ filter: { room: { timeline: { limit: 50 } } } }), roomId);
    expect(timeline.limited).toBe(false);
    const page = await alice.messages(roomId, { from: timeline.prev_batch, limit: "1" });
    expect(page.chunk[0]!.event_id).toBe(timeline.events.at(-1)!.event_id);
  });

  test("no timeline is longer than 100 events, whatever the filter asks", async () => {
    const { alice, bob, roomId } = await pair();
    await sendMany(bob, roomId, 105);
    const { timeline } = roomOf(await alice.sync({ filter: { room: { timeline: { limit: 500 } } } }), roomId);
    expect(timeline.events).toHaveLength(100);
  });

  test("the state of a gap is what changed between the last answer and the start of the timeline", async () => {
    const { alice, bob, roomId } = await pair();
    const before = await alice.sync();
    await alice.setState(roomId, "m.room.topic", { topic: "first" });
    await alice.setState(roomId, "m.room.topic", { topic: "second" });
    await sendMany(bob, roomId, 10);
    await alice.setState(roomId, "m.room.name", { name: "in the timeline" });
    const room = roomOf(await alice.sync({ since: before.next_batch }), roomId);
    expect(room.state.events.map(({ type, content }) => [type, content.topic])).toEqual([["m.room.topic", "second"]]);
    expect(room.timeline.events.at(-1)!.type).toBe("m.room.name");
  });

  test("with MSC4222 switched on the answer has state_after, with changes inside the timeline as well", async () => {
    const { alice, roomId } = await pair();
    const before = await alice.sync();
    await alice.setState(roomId, "m.room.topic", { topic: "new" });
    const legacy = roomOf(await alice.sync({ since: before.next_batch, useStateAfter: true }), roomId);
    expect(legacy.state.events).toEqual([]);

    await homeserver.control.settings({ msc4222: true });
    const room = roomOf(await alice.sync({ since: before.next_batch, useStateAfter: true, timeout: 1 }), roomId);
    await homeserver.control.settings({ msc4222: false });
    expect(room.state).toBeUndefined();
    expect(room["org.matrix.msc4222.state_after"]!.events.map(({ type }) => type)).toEqual(["m.room.topic"]);
  });

  test("a transaction id comes back to the sending device alone, and is sent once", async () => {
    const { alice, bob, roomId } = await pair();
    const tablet = await homeserver.login(`alice${made}`, "TABLET");
    const before = await alice.sync();
    const eventId = await alice.send(roomId, "once", "m.room.message", "txn1");
    expect(await alice.send(roomId, "once", "m.room.message", "txn1")).toBe(eventId);
    for (const [robot, txnId] of [
      [alice, "txn1"],
      [tablet, undefined],
      [bob, undefined],
    ] as const) {
      const { events } = roomOf(await robot.sync({ since: before.next_batch }), roomId).timeline;
      expect(events.map(({ event_id, unsigned }) => [event_id, unsigned!.transaction_id])).toEqual([[eventId, txnId]]);
    }
  });

  test("a redaction prunes what is stored, and a cached answer still has the old content", async () => {
    const { alice, bob, roomId } = await pair();
    const before = await alice.sync();
    const eventId = await bob.send(roomId, "secret");
    const seen = await alice.sync({ since: before.next_batch });
    expect(bodies(roomOf(seen, roomId).timeline.events)).toEqual(["secret"]);
    await alice.redact(roomId, eventId, "no");

    const again = await alice.sync({ since: before.next_batch });
    expect(bodies(roomOf(again, roomId).timeline.events)).toEqual(["secret"]);
    await homeserver.control.advanceClock(120_001);
    const [redacted] = roomOf(await alice.sync({ since: before.next_batch }), roomId).timeline.events;
    expect(redacted!.content).toEqual({});
    expect(redacted!.unsigned!.redacted_because).toMatchObject({ type: "m.room.redaction", redacts: eventId });
  });

  test("a federation gap cuts the timeline, though all events would fit", async () => {
    const { alice, bob, roomId } = await pair();
    const before = await alice.sync();
    await bob.send(roomId, "before the gap");
    await homeserver.control.gap(roomId);
    await bob.send(roomId, "after the gap");
    const { timeline } = roomOf(await alice.sync({ since: before.next_batch }), roomId);
    expect(timeline.limited).toBe(true);
    expect(bodies(timeline.events)).toEqual(["after the gap"]);
  });

  test("a late event comes at the end of an incremental answer and at its own depth in /messages", async () => {
    const { alice, bob, roomId } = await pair();
    await sendMany(bob, roomId, 3);
    const before = await alice.sync();
    const content = { msgtype: "m.text", body: "late" };
    // The same depth as "m0": the eighth event of the room.
    await homeserver.control.inject({ roomId, sender: bob.userId, content, depth: 8, forked: true });
    await bob.send(roomId, "newest");
    const { timeline } = roomOf(await alice.sync({ since: before.next_batch }), roomId);
    expect(bodies(timeline.events)).toEqual(["late", "newest"]);
    const page = await alice.messages(roomId, { limit: "5" });
    expect(bodies(page.chunk)).toEqual(["newest", "m2", "m1", "late", "m0"]);
  });

  test("a state event that loses state resolution is in the timeline and not in the state", async () => {
    const { alice, roomId } = await pair();
    const before = await alice.sync();
    await homeserver.control.inject({
      roomId,
      sender: alice.userId,
      type: "m.room.name",
      stateKey: "",
      content: { name: "loser" },
      forked: true,
      loses: true,
    });
    const { timeline } = roomOf(await alice.sync({ since: before.next_batch }), roomId);
    expect(timeline.events.map(({ content }) => content.name)).toEqual(["loser"]);
    expect((await alice.state(roomId)).find(({ type }) => type === "m.room.name")!.content.name).toBe("Room");
  });
});
