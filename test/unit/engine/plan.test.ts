import { expect, test } from "@jest/globals";
import { planSync } from "../../../src/engine/plan.ts";
import type { ListFilters } from "../../../src/engine/request.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import { bob, config, list, NO_FILTERS, request, TestWorld } from "../../support/engine.ts";
import { NOTHING_TOLD } from "../../support/engine-nothing.ts";
import { EngineClient } from "./engine-client.ts";

const everything = request({ all: list("all") });

test("a first request is told every room in its window, newest activity first", () => {
  const world = new TestWorld();
  const [old, middle, fresh] = [world.joinedRoom(), world.joinedRoom(), world.joinedRoom()];
  old.message();
  middle.message();
  fresh.message();
  const answer = new EngineClient(world).sync(request({ top: list([[0, 1]]) }));
  expect(answer.rooms.map(({ roomId }) => roomId)).toEqual([fresh.roomId, middle.roomId]);
  expect(answer.rooms.every(({ isInitial }) => isInitial)).toBe(true);
  expect(answer.outcome.response.lists.get("top")?.count).toBe(3);
});

test("nothing is read, sent or written when nothing changed", () => {
  const world = new TestWorld();
  world.joinedRoom(3);
  const client = new EngineClient(world);
  client.sync(everything);
  world.nextPosition();
  const answer = client.sync(everything);
  expect(answer.rooms).toEqual([]);
  expect(answer.outcome.hasNews).toBe(false);
  expect(answer.writes).toBe(false);
});

test("a new message in a live room is a delta that writes nothing", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  const client = new EngineClient(world);
  client.sync(everything);
  const message = room.message();
  const answer = client.sync(everything);
  expect(answer.timeline(room)).toEqual([message.eventId]);
  expect(answer.room(room)).toMatchObject({ isInitial: false, timeline: { limited: false, numLive: 1 } });
  expect(answer.writes).toBe(false);
});

test("a growing window sends only the rooms that it adds", () => {
  const world = new TestWorld();
  const [first, second] = [world.joinedRoom(), world.joinedRoom()];
  const client = new EngineClient(world);
  expect(client.sync(request({ all: list([[0, 0]]) })).rooms.map(({ roomId }) => roomId)).toEqual([second.roomId]);
  expect(client.sync(request({ all: list([[0, 99]]) })).rooms.map(({ roomId }) => roomId)).toEqual([first.roomId]);
});

test("a room that drops out of the window comes back with only what was missed", () => {
  const world = new TestWorld();
  const [quiet, busy] = [world.joinedRoom(2), world.joinedRoom(2)];
  const top = request({ top: list([[0, 0]]) });
  const client = new EngineClient(world);
  quiet.message();
  client.sync(top);
  const missed = quiet.message();
  busy.message();
  const between = client.sync(top);
  expect(between.find(quiet)).toBeUndefined();
  expect(between.writes).toBe(true);
  const last = quiet.message();
  const back = client.sync(top);
  expect(back.room(quiet)).toMatchObject({ isInitial: false, timeline: { limited: false, numLive: 1 } });
  expect(back.timeline(quiet)).toEqual([missed.eventId, last.eventId]);
  expect(client.sync(top).rooms).toEqual([]);
});

test("a room that stays outside is marked as missed once", () => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  const client = new EngineClient(world);
  client.sync(everything);
  room.message();
  expect(client.sync(request()).writes).toBe(true);
  room.message();
  expect(client.sync(request()).writes).toBe(false);
});

test("a lost answer is computed again", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(everything);
  const first = room.message();
  expect(client.lose(everything).timeline(room)).toEqual([first.eventId]);
  const second = room.message();
  expect(client.sync(everything).timeline(room)).toEqual([first.eventId, second.eventId]);
});

test("a room is sent with the largest limit and all state of whatever covers it", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(9);
  room.setState("m.room.topic");
  const lists = { a: list("all", config(2, "m.room.create")), b: list([[0, 0]], config(4, "m.room.topic")) };
  const answer = new EngineClient(world).sync(request(lists));
  expect(answer.timeline(room)).toHaveLength(4);
  expect(answer.state(room)).toEqual(["m.room.create", "m.room.topic"]);
});

test("overlapping ranges cover a room once, and windows hold what each range asks for", () => {
  const world = new TestWorld();
  const rooms = [world.joinedRoom(), world.joinedRoom(), world.joinedRoom()].map(({ roomId }) => roomId).reverse();
  const ranges = [
    [1, 9],
    [0, 1],
    [2, 1],
    [7, 9],
  ] as const;
  const plan = planSync({
    request: request({ all: list(ranges) }, new Map(), { needsWindows: true }),
    connection: NOTHING_TOLD,
    from: undefined,
    to: world.position,
    view: world.view(),
  });
  expect(plan.lists.get("all")?.windows.map(({ roomIds }) => roomIds)).toEqual([
    rooms.slice(1),
    rooms.slice(0, 2),
    [],
    [],
  ]);
  expect(plan.rooms).toHaveLength(3);
  expect(new Set(plan.rooms.map((room) => room.config)).size).toBe(1);
});

test.each<readonly [string, Partial<ListFilters>, number]>([
  ["no filter", {}, 4 + 8],
  ["only joined rooms", { isInvite: false }, 3 + 8],
  ["all but spaces", { notRoomTypes: ["m.space"] }, 3 + 8],
  ["only invites", { isInvite: true }, 1],
  ["only encrypted rooms", { isEncrypted: true }, 0],
  ["only spaces", { roomTypes: ["m.space"] }, 0],
])("rooms that were announced ahead of a first sync are counted: %s", (_what, filters, count) => {
  const world = new TestWorld();
  for (let room = 0; room < 3; room++) world.joinedRoom();
  world.emptyRoom().setReader(Membership.invite, { sender: bob });
  const only = (announced: number | undefined) => {
    world.announcedJoined = announced;
    const { config: plain } = list("all");
    const wanted = request({ all: { ranges: [], config: plain, filters: { ...NO_FILTERS, ...filters } } });
    return new EngineClient(world).sync(wanted).outcome.response.lists.get("all")?.count;
  };
  expect(only(11)).toBe(count);
  for (const announced of [undefined, 0, 2, 3]) expect(only(announced)).toBe(count > 8 ? count - 8 : count);
});

test("a list without ranges counts its rooms and covers none", () => {
  const world = new TestWorld();
  world.joinedRoom();
  const answer = new EngineClient(world).sync(request({ all: list([]) }));
  expect(answer.rooms).toEqual([]);
  expect(answer.outcome.response.lists.get("all")).toEqual({ count: 1, windows: [] });
});

test.each([
  ["a joined room", Membership.join],
  ["an invite", Membership.invite],
  ["a knock", Membership.knock],
  ["a ban", Membership.ban],
] as const)("%s is listed", (_name, membership) => {
  const world = new TestWorld();
  world.emptyRoom().setReader(membership);
  const answer = new EngineClient(world).sync(everything);
  expect(answer.outcome.response.lists.get("all")?.count).toBe(1);
  expect(answer.rooms).toHaveLength(1);
});

test("a room that was left by choice is not listed on a connection that never knew it", () => {
  const world = new TestWorld();
  world.emptyRoom().setReader(Membership.leave);
  const answer = new EngineClient(world).sync(everything);
  expect(answer.outcome.response.lists.get("all")?.count).toBe(0);
  expect(answer.rooms).toEqual([]);
});

test("a departure by choice is told once on a connection that was not told of the room", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(request());
  room.setReader(Membership.leave);
  const leaving = client.sync(everything);
  expect(leaving.outcome.response.lists.get("all")?.count).toBe(1);
  expect(leaving.room(room)).toMatchObject({ isInitial: true, membership: Membership.leave });
  room.message();
  const after = client.sync(everything);
  expect(after.outcome.response.lists.get("all")?.count).toBe(0);
  expect(after.rooms).toEqual([]);
});

test("a joined room is left out until it is complete", () => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  room.isComplete = false;
  const subscribed = request({ all: list("all") }, new Map([[room.roomId, config(1)]]));
  const client = new EngineClient(world);
  expect(client.sync(subscribed).outcome.response.lists.get("all")?.count).toBe(0);
  room.isComplete = true;
  room.changedAt = world.nextPosition();
  expect(client.sync(subscribed).room(room).isInitial).toBe(true);
});

test("a room left by choice is listed once more on a connection that knows it", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(everything);
  room.setReader(Membership.leave);
  const leaving = client.sync(everything);
  expect(leaving.outcome.response.lists.get("all")?.count).toBe(1);
  expect(leaving.room(room)).toMatchObject({ isInitial: false, membership: Membership.leave });
  room.message();
  const after = client.sync(everything);
  expect(after.outcome.response.lists.get("all")?.count).toBe(0);
  expect(after.rooms).toEqual([]);
  expect(after.writes).toBe(false);
});

test("a departure that nothing covered is told when something does", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(everything);
  room.setReader(Membership.leave);
  expect(client.sync(request()).rooms).toEqual([]);
  world.nextPosition();
  expect(client.sync(everything).room(room).membership).toBe(Membership.leave);
});

test("a kick is told once and the room stays listed", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(everything);
  room.setReader(Membership.leave, { sender: bob });
  expect(client.sync(everything).rooms).toHaveLength(1);
  room.message();
  const after = client.sync(everything);
  expect(after.rooms).toEqual([]);
  expect(after.outcome.response.lists.get("all")?.count).toBe(1);
});

test("a kick followed by a ban is told again", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(everything);
  room.setReader(Membership.leave, { sender: bob });
  client.sync(everything);
  room.setReader(Membership.ban, { sender: bob });
  expect(client.sync(everything).room(room).membership).toBe(Membership.ban);
});

test.each([
  ["an invite that is accepted", [Membership.invite, Membership.join]],
  ["a room that is left and joined again", [Membership.join, Membership.leave, Membership.join]],
  ["a leave and a join within one answer", [Membership.join, Membership.join]],
] as const)("%s is sent anew", (_name, memberships) => {
  const world = new TestWorld();
  const room = world.emptyRoom();
  room.setState("m.room.create");
  const client = new EngineClient(world);
  const flags = memberships.map((membership) => {
    room.setReader(membership);
    return client.sync(everything).room(room).isInitial;
  });
  expect(flags.at(-1)).toBe(true);
});

test("a subscription covers rooms that the reader may see, and passes over others", () => {
  const world = new TestWorld();
  const [joined, invited, left, forgotten] = [
    world.joinedRoom(),
    world.emptyRoom(),
    world.emptyRoom(),
    world.emptyRoom(),
  ];
  invited.setReader(Membership.invite);
  left.setReader(Membership.leave);
  forgotten.setReader(Membership.leave);
  forgotten.forget();
  const unknown = { roomId: "!unknown:example.org" as typeof joined.roomId };
  const rooms = [joined, invited, left, forgotten, unknown].map(({ roomId }) => [roomId, config(1)] as const);
  const answer = new EngineClient(world).sync(request({}, new Map(rooms)));
  const shown = new Set([joined.roomId, invited.roomId, left.roomId]);
  expect(new Set(answer.rooms.map(({ roomId }) => roomId))).toEqual(shown);
});

test("subscriptions are kept where the client asks for that, until it unsubscribes", () => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  const client = new EngineClient(world);
  const keep = { subscriptionMode: "keep" } as const;
  client.sync(request({}, new Map([[room.roomId, config(1)]]), keep));
  room.message();
  const kept = client.sync(request({}, new Map(), keep));
  expect(kept.rooms).toHaveLength(1);
  expect(kept.writes).toBe(false);
  room.message();
  expect(client.sync(request({}, new Map(), { ...keep, unsubscribed: [room.roomId] })).rooms).toEqual([]);
  expect(client.told.subscriptions.size).toBe(0);
});

test("subscriptions that are sent again unchanged write nothing", () => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  const client = new EngineClient(world);
  const asked = () => request({}, new Map([[room.roomId, config(1)]]), { subscriptionMode: "keep" });
  expect(client.sync(asked()).writes).toBe(true);
  world.nextPosition();
  expect(client.sync(asked()).writes).toBe(false);
});

test("a client that never unsubscribes keeps its newest subscriptions", () => {
  const world = new TestWorld();
  const client = new EngineClient(world);
  const roomId = (number: number) => `!${number}:example.org` as RoomId;
  const rooms = Array.from({ length: 600 }, (_, number) => [roomId(number), config(1)] as const);
  client.sync(request({}, new Map(rooms), { subscriptionMode: "keep" }));
  expect(client.told.subscriptions.size).toBe(500);
  expect(client.told.subscriptions.has(roomId(599))).toBe(true);
});

test("unread counts that change make an entry, once, with nothing else", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  const client = new EngineClient(world);
  client.sync(everything);
  for (const [notificationCount, highlightCount] of [
    [3, 1],
    [1, 0],
    [0, 0],
  ] as const) {
    room.setCounts(notificationCount, highlightCount);
    const answer = client.sync(everything);
    const counts = { notificationCount, highlightCount, timeline: undefined, isInitial: false };
    expect(answer.room(room)).toMatchObject(counts);
    expect([answer.outcome.hasNews, answer.outcome.quietSince]).toEqual([true, undefined]);
    const next = client.sync(everything);
    expect([next.rooms, next.writes]).toEqual([[], false]);
  }
});

test("a raised timeline limit sends the newest events again, at once", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(30);
  const client = new EngineClient(world);
  client.sync(request({ all: list("all", config(1)) }));
  const opened = client.sync(request({ all: list("all", config(1)) }, new Map([[room.roomId, config(20)]])));
  expect(opened.room(room)).toMatchObject({ isInitial: false, isTimelineExpanded: true });
  expect(opened.room(room).timeline).toMatchObject({ limited: true, numLive: 0 });
  expect(opened.timeline(room)).toEqual(room.timeline.slice(-20).map(({ eventId }) => eventId));
  const closed = client.sync(request({ all: list("all", config(1)) }));
  expect(closed.rooms).toEqual([]);
  expect(client.sync(request({}, new Map([[room.roomId, config(20)]]))).rooms).toEqual([]);
});

test("after a gap under a small limit the large limit is asked for anew", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(30);
  const client = new EngineClient(world);
  client.sync(request({ all: list("all", config(20)) }));
  for (let count = 0; count < 3; count++) room.message();
  const small = client.sync(request({ all: list("all", config(1)) }));
  expect(small.room(room).timeline).toMatchObject({ limited: true });
  expect(client.sync(request({ all: list("all", config(20)) })).room(room).isTimelineExpanded).toBe(true);
});

test("messages that came while no timeline was wanted are sent when one is wanted again", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(5);
  const client = new EngineClient(world);
  client.sync(request({ all: list("all", config(3)) }));
  const missed = room.message();
  expect(client.sync(request({ all: list("all", config(0)) })).rooms).toEqual([]);
  expect(client.sync(request({ all: list("all", config(3)) })).timeline(room)).toContain(missed.eventId);
});

test("the last messages before a departure are told to a client that wanted no timeline when they came", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(5);
  const client = new EngineClient(world);
  client.sync(request({ all: list("all", config(2)) }));
  const missed = room.message();
  client.sync(request({ all: list("all", config(0)) }));
  const leave = room.setReader(Membership.leave);
  const answer = client.sync(request({ all: list("all", config(2)) }));
  expect(answer.timeline(room)).toEqual([missed.eventId, leave.eventId]);
  expect(answer.room(room)).toMatchObject({ isTimelineExpanded: true, timeline: { limited: true } });
});

test("newly wanted state is sent at once, and only that", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setState("m.room.topic");
  room.setState("m.room.pinned_events");
  const client = new EngineClient(world);
  client.sync(request({ all: list("all", config(1, "m.room.topic")) }));
  const grown = client.sync(request({ all: list("all", config(1, "m.room.topic", "m.room.pinned_events")) }));
  expect(grown.state(room)).toEqual(["m.room.pinned_events"]);
  expect(grown.room(room)).toMatchObject({ isTimelineExpanded: false, timeline: undefined });
});

test("state that changed while it was not wanted is sent when it is wanted again", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setState("m.room.topic");
  const client = new EngineClient(world);
  const wide = request({ all: list("all", config(1, "m.room.create", "m.room.topic")) });
  const narrow = request({ all: list("all", config(1, "m.room.create")) });
  client.sync(wide);
  expect(client.sync(narrow).rooms).toEqual([]);
  expect(client.sync(wide).rooms).toEqual([]);
  room.setState("m.room.topic");
  expect(client.sync(narrow).state(room)).toEqual([]);
  expect(client.sync(wide).state(room)).toEqual(["m.room.topic"]);
});
