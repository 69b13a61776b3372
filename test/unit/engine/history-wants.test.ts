import { describe, expect, test } from "@jest/globals";
import { historyWants } from "../../../src/engine/history-wants.ts";
import { planSync } from "../../../src/engine/plan.ts";
import type { SyncRequest } from "../../../src/engine/request.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { Chunk } from "../../../src/model/stored-event.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import {
  ALICE_NID,
  BOB_NID,
  bob,
  carol,
  config,
  list,
  request,
  type TestRoom,
  TestWorld,
} from "../../support/engine.ts";
import type { EventOptions } from "../../support/engine-facts.ts";
import { NOTHING_TOLD } from "../../support/engine-nothing.ts";
import { EngineClient } from "./engine-client.ts";

const subscribed = (room: TestRoom, limit: number) => request({}, new Map([[room.roomId, config(limit)]]));

function wantsOf(world: TestWorld, asked: SyncRequest) {
  const to = world.position;
  const plan = planSync({ request: asked, connection: NOTHING_TOLD, from: undefined, to, view: world.view() });
  return historyWants(plan, world.read(plan.reads));
}

/** A room that alice is in, with a hole, and after that a batch of two. */
function withHole({
  first = { tokenBefore: "t1" },
  ...chunk
}: Partial<Chunk> & { readonly first?: EventOptions } = {}) {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.beginChunk(chunk);
  const position = world.nextPosition();
  const [oldest] = [first, {}].map((options) =>
    room.add({ type: "m.room.message", sender: bob, ...options }, position),
  );
  return { world, room, oldest: oldest! };
}

describe("history is wanted", () => {
  test("before the hole of a room that is subscribed to with more events than follow the hole", () => {
    const { world, room, oldest } = withHole();
    expect(wantsOf(world, subscribed(room, 20))).toEqual([
      {
        room: room.room,
        roomId: room.roomId,
        token: "t1",
        anchor: oldest.eventId,
        visibility: Visibility.shared,
        events: 18,
      },
    ]);
  });

  test("before the oldest event, where that is not the room's beginning", () => {
    const world = new TestWorld();
    const room = world.emptyRoom();
    room.setReader(Membership.join);
    room.beginChunk();
    const oldest = room.send({ tokenBefore: "t1" });
    expect(wantsOf(world, subscribed(room, 5))).toMatchObject([{ anchor: oldest.eventId, events: 4 }]);
  });

  test("from the nearest token, and for so many more events as stand between", () => {
    const { world, room } = withHole({ first: {} });
    const later = room.send({ tokenBefore: "t2" });
    expect(wantsOf(world, subscribed(room, 20))).toMatchObject([{ token: "t2", anchor: later.eventId, events: 19 }]);
    const after = withHole({ first: {} });
    after.room.send({ tokenAfter: "t4" });
    expect(wantsOf(after.world, subscribed(after.room, 20))).toMatchObject([
      { token: "t4", anchor: undefined, events: 20 },
    ]);
  });

  test("where what follows the hole is attested for the reader alone", () => {
    const { world, room } = withHole({ attestedFor: ALICE_NID });
    world.ignored = new Set([carol]);
    expect(wantsOf(world, subscribed(room, 20))).toHaveLength(1);
  });

  test("of the most recent of many rooms", () => {
    const world = new TestWorld();
    const rooms = Array.from({ length: 12 }, () => {
      const room = world.emptyRoom();
      room.setReader(Membership.join);
      room.beginChunk();
      room.send({ tokenBefore: "t" });
      return room;
    });
    const wants = wantsOf(world, request({}, new Map(rooms.map(({ roomId }) => [roomId, config(5)]))));
    expect(wants.map(({ room }) => room)).toEqual(
      rooms
        .slice(2)
        .map(({ room }) => room)
        .reverse(),
    );
  });
});

describe("no history is wanted", () => {
  test.each([
    ["as many events as were asked for", {}, 2],
    ["no events were asked for", {}, 0],
    ["no token is known", { first: {} }, 20],
    ["it is for members", { first: { tokenBefore: "t1", visibility: Visibility.joined } }, 20],
    ["it is not known who may see it", { first: { tokenBefore: "t1", visibility: Visibility.unknown } }, 20],
    ["nothing is attested for the reader there", { attestedFor: BOB_NID }, 20],
    ["there is no hole", { continues: true }, 20],
  ] as const)("where %s", (_name, hole, limit) => {
    const { world, room } = withHole(hole);
    expect(wantsOf(world, subscribed(room, limit))).toEqual([]);
  });

  test("by a list alone, or of a room that the reader is not in", () => {
    const { world, room } = withHole();
    expect(wantsOf(world, request({ all: list("all", config(20)) }))).toEqual([]);
    room.setReader(Membership.ban);
    expect(wantsOf(world, subscribed(room, 20))).toEqual([]);
  });

  test("of a room whose other events all members may not see, or are cut off by what the reader may see", () => {
    const { world, room } = withHole({ continues: true });
    room.sinceOrderKey = room.timeline.at(-2)!.orderKey;
    for (const [at, event] of room.timeline.entries()) {
      room.timeline[at] = { ...event, visibility: Visibility.joined };
    }
    expect(wantsOf(world, subscribed(room, 20))).toEqual([]);
  });

  test("where the homeserver keeps back what the reader ignores and others do not", () => {
    const { world, room } = withHole();
    world.ignored = new Set([carol]);
    expect(wantsOf(world, subscribed(room, 20))).toEqual([]);
  });
});

test("a room whose data is broken keeps no other room from its history", () => {
  const { world, room } = withHole();
  const broken = world.joinedRoom(3);
  const asked = request({}, new Map([room, broken].map(({ roomId }) => [roomId, config(20)])));
  const to = world.position;
  const plan = planSync({ request: asked, connection: NOTHING_TOLD, from: undefined, to, view: world.view() });
  const data = new Map(world.read(plan.reads));
  data.set(broken.room, { ...data.get(broken.room)!, chunks: undefined } as never);
  expect(historyWants(plan, data)).toMatchObject([{ room: room.room }]);
});

test("history that came after what follows it is not live, however new it is", () => {
  const { world, room } = withHole();
  const client = new EngineClient(world);
  client.sync(request());
  const live = [room.message(), room.message()];
  const late = room.insert(live[0]!, live[0]!.chunk, { type: "m.room.message", sender: bob });
  const answer = client.sync(subscribed(room, 3)).room(room);
  expect(answer.timeline?.events.map(({ event }) => event.eventId)).toEqual(
    [late, ...live].map(({ eventId }) => eventId),
  );
  expect(answer.timeline?.numLive).toBe(2);
});
