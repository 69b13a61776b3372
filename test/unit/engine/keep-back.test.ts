import { describe, expect, test } from "@jest/globals";
import type { UserId, UserNid } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { alice, bob, config, list, request, TestWorld } from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

const asking = request({ all: list("all", config(5, "m.room.name")) });

/** A client that knows a quiet room. From now on a second passes whenever the test says so. */
function started() {
  const world = new TestWorld();
  const [room, other] = [world.joinedRoom(1), world.joinedRoom(1)];
  const client = new EngineClient(world);
  client.sync(asking);
  let [after, longAfter] = [world.position, world.position];
  const look = () => {
    client.window = { after, longAfter, sentAfterMs: 0 };
  };
  look();
  const second = () => {
    [longAfter, after] = [after, world.position];
    look();
  };
  return { world, room, other, client, second };
}

describe("a message that the reader has just sent", () => {
  test("keeps its room back, whole, and no other", () => {
    const { room, other, client } = started();
    const before = room.message();
    room.setState("m.room.name", "", { name: "new" });
    const own = room.message(alice);
    const elsewhere = other.message();
    const answer = client.sync(asking);
    expect(answer.rooms.map(({ roomId }) => roomId)).toEqual([other.roomId]);
    expect(answer.timeline(other)).toEqual([elsewhere.eventId]);
    expect(answer.keptBackSince).toBe(own.position);
    // What was kept back stays owed, though the position of the client went beyond it.
    room.attributed.add(own.nid);
    const next = client.sync(asking);
    expect(next.timeline(room)).toEqual([before.eventId, expect.any(String), own.eventId]);
    expect(next.room(room)).toMatchObject({ isInitial: false, name: "new", timeline: { limited: false } });
    expect(next.state(room)).toEqual(["m.room.name"]);
  });

  test("is no news while its room is kept back, and writes once what the client misses", () => {
    const { room, client } = started();
    room.message(alice);
    const held = client.sync(asking);
    expect([held.outcome.hasNews, held.writes]).toEqual([false, true]);
    const again = client.sync(asking);
    expect([again.outcome.hasNews, again.writes]).toEqual([false, false]);
  });

  test.each([
    ["it is known who sent it", (world: Started) => world.room.attributed.add(world.room.message(alice).nid)],
    ["somebody else sent it", (world: Started) => world.room.message(bob)],
    ["it is state", (world: Started) => world.room.setState("m.room.name", "", { name: "new" }, alice)],
    ["it is what the reader joined with", (world: Started) => world.room.setMember(alice)],
  ])("keeps nothing back where %s", (_, send) => {
    const world = started();
    send(world);
    const answer = world.client.sync(asking);
    expect(answer.room(world.room).timeline?.events).toHaveLength(1);
    expect(answer.keptBackSince).toBeUndefined();
  });

  test("keeps nothing back when it was sent long before it was learnt", () => {
    const { room, client } = started();
    const own = room.message(alice);
    client.window = { ...client.window!, sentAfterMs: own.originServerTsMs };
    expect(client.sync(asking).timeline(room)).toEqual([own.eventId]);
  });

  test("comes after a second, though nothing is known of it", () => {
    const { room, client, second } = started();
    const own = room.message(alice);
    expect(client.sync(asking).find(room)).toBeUndefined();
    second();
    const answer = client.sync(asking);
    expect([answer.timeline(room), answer.keptBackSince]).toEqual([[own.eventId], undefined]);
  });

  test("takes those with it that came less than a second after it", () => {
    const { room, client, second } = started();
    const [a, b] = [room.message(alice), room.message(alice)];
    room.attributed.add(a.nid);
    expect(client.sync(asking).keptBackSince).toBe(a.position);
    second();
    const c = room.message(alice);
    expect(client.sync(asking).timeline(room)).toEqual([a.eventId, b.eventId, c.eventId]);
  });

  test("waits beside others that are news to the client for another reason", () => {
    const { room, client, second } = started();
    const old = room.message(alice);
    second();
    second();
    const own = room.message(alice);
    expect(client.sync(asking).keptBackSince).toBe(own.position);
    second();
    expect(client.sync(asking).timeline(room)).toEqual([old.eventId, own.eventId]);
  });

  test("does not keep back what the client was told before", () => {
    const { room, client } = started();
    const own = room.message(alice);
    client.window = undefined;
    expect(client.sync(asking).timeline(room)).toEqual([own.eventId]);
    client.window = { after: 0 as StreamPosition, longAfter: 0 as StreamPosition, sentAfterMs: 0 };
    const reply = room.message(bob);
    expect(client.sync(asking).timeline(room)).toEqual([reply.eventId]);
  });
});

type Started = ReturnType<typeof started>;

test("a room that is new to the client is kept back, too, and then told as new", () => {
  const { world, client } = started();
  const room = world.joinedRoom(1);
  const own = room.message(alice);
  expect(client.sync(asking).find(room)).toBeUndefined();
  room.attributed.add(own.nid);
  expect(client.sync(asking).room(room)).toMatchObject({ isInitial: true, timeline: { numLive: expect.any(Number) } });
});

describe("what has just come with the stream of somebody who ignores others", () => {
  const bobsAlone = { attestedFor: 2 as UserNid, continues: true };

  test("keeps its room back until it is attested for everybody", () => {
    const { room, other, client } = started();
    const everybodys = room.chunk;
    room.beginChunk(bobsAlone);
    const event = room.message(bob);
    const elsewhere = other.message(bob);
    const answer = client.sync(asking);
    expect([answer.find(room), answer.timeline(other)]).toEqual([undefined, [elsewhere.eventId]]);
    expect(answer.keptBackSince).toBe(event.position);
    Object.assign(room.timeline.at(-1)!, { chunk: everybodys });
    expect(client.sync(asking).room(room).timeline).toMatchObject({ events: [expect.anything()], limited: false });
  });

  test("comes after a second, with the hole that may be there", () => {
    const { room, client, second } = started();
    room.beginChunk(bobsAlone);
    const event = room.message(bob);
    expect(client.sync(asking).find(room)).toBeUndefined();
    second();
    const answer = client.sync(asking);
    expect([answer.timeline(room), answer.room(room).timeline?.limited]).toEqual([[event.eventId], true]);
  });

  test("keeps nothing back for whom it is attested, for who ignores others, and of a room that is new to the client", () => {
    const own = started();
    own.room.beginChunk({ attestedFor: own.world.view().userNid, continues: true });
    const event = own.room.message(bob);
    expect(own.client.sync(asking).timeline(own.room)).toEqual([event.eventId]);
    const ignoring = started();
    ignoring.world.ignored = new Set(["@mallory:test" as UserId]);
    ignoring.room.beginChunk(bobsAlone);
    expect(ignoring.room.message(bob).eventId).toBe(ignoring.client.sync(asking).timeline(ignoring.room)[0]);
    const fresh = started();
    const room = fresh.world.joinedRoom(1);
    room.beginChunk(bobsAlone);
    room.message(bob);
    expect(fresh.client.sync(asking).room(room)).toMatchObject({ isInitial: true });
  });
});

test("a departure is told at once, whatever the reader sent before it", () => {
  const { room, client } = started();
  room.message(alice);
  room.setReader(Membership.leave, { sender: bob });
  expect(client.sync(asking).room(room).membership).toBe(Membership.leave);
});

test("of several rooms the one that is free first says how long nothing moves", () => {
  const { room, other, client } = started();
  const first = other.message(alice);
  room.message(alice);
  expect(client.sync(asking).keptBackSince).toBe(first.position);
});

describe("unread counts that rose alone", () => {
  test("wait for another reason to answer, a moment, and are one then", () => {
    const { room, other, client, second } = started();
    room.setCounts(1);
    const waiting = client.lose(asking);
    expect(waiting.outcome).toMatchObject({ hasNews: false, quietSince: room.readerChangedAt });
    second();
    expect(client.lose(asking).outcome).toMatchObject({ hasNews: true, quietSince: undefined });
    room.setCounts(2);
    other.message();
    const answer = client.sync(asking);
    expect(answer.outcome).toMatchObject({ hasNews: true, quietSince: room.readerChangedAt });
    expect(answer.rooms.map(({ roomId }) => roomId).sort()).toEqual([room.roomId, other.roomId].sort());
    expect(client.sync(asking).outcome).toMatchObject({ hasNews: false, quietSince: undefined });
  });

  test("wait as long as those do that wait longest", () => {
    const { room, other, client } = started();
    other.setCounts(1);
    room.setCounts(1);
    expect(client.sync(asking).outcome.quietSince).toBe(other.readerChangedAt);
  });

  test("wait for nothing with a message, and are told at once where nothing is unread", () => {
    const { room, other, client } = started();
    room.message();
    room.setCounts(1);
    expect(client.sync(asking).outcome).toMatchObject({ hasNews: true, quietSince: undefined });
    other.setCounts(0);
    expect(client.sync(asking).outcome).toMatchObject({ hasNews: true, quietSince: undefined });
  });
});
