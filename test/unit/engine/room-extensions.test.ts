// Account data, receipts and typing: what is told first, what later, and what is remembered of that.
import { describe, expect, test } from "@jest/globals";
import { isEmptyDelta } from "../../../src/engine/connection/delta.ts";
import type { ExtensionScope, ExtensionsRequest, ListRequest } from "../../../src/engine/request.ts";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { alice, bob, carol, config, list, request, type TestRoom, TestWorld } from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

const EVERYTHING: ExtensionScope = { lists: "all", rooms: "all" };
const ALL: ExtensionsRequest = { accountData: EVERYTHING, receipts: EVERYTHING, typing: EVERYTHING };

const textOf = (body: Buffer): string => {
  const { type, content } = JSON.parse(body.toString());
  return `${type} ${JSON.stringify(content)}`;
};

type Rooms = readonly TestRoom[];

interface Asked {
  readonly extensions?: ExtensionsRequest;
  readonly lists?: Readonly<Record<string, ListRequest>>;
  readonly subscribed?: readonly TestRoom[];
}

function start() {
  const world = new TestWorld();
  const client = new EngineClient(world);
  const nameOf = (roomId: RoomId) => `room${world.rooms.findIndex((room) => room.roomId === roomId) + 1}`;
  const named = <Answer, Shown>(rooms: ReadonlyMap<RoomId, Answer> | undefined, show: (answer: Answer) => Shown) =>
    Object.fromEntries([...(rooms ?? [])].map(([roomId, answer]) => [nameOf(roomId), show(answer)]));
  const shown = ({ outcome }: ReturnType<EngineClient["lose"]>) => {
    const { accountData, receipts, typing } = outcome.response.extensions;
    return {
      global: accountData?.global.map(textOf),
      data: named(accountData?.rooms, (events) => events.map(textOf)),
      receipts: named(receipts?.rooms, (all) =>
        all
          .map(({ eventId, type, userId, threadId }) => [eventId, type, userId, threadId ?? ""].join(" ").trim())
          .sort(),
      ),
      typing: named(typing?.rooms, (users) => users),
      isAsked: [accountData, receipts, typing].map((answer) => answer !== undefined),
      hasNews: outcome.hasNews,
      writes: !isEmptyDelta(outcome.delta),
      reads: world.personal.reads,
    };
  };
  const everywhere = { all: list("all", config(2)) };
  const requestOf = ({ extensions = ALL, lists = everywhere, subscribed = [] }: Asked) =>
    request(lists, new Map(subscribed.map(({ roomId }) => [roomId, config(2)])), { extensions });
  const sync = (asked: Asked = {}) => {
    world.personal.reads = 0;
    return shown(client.sync(requestOf(asked)));
  };
  const lose = (asked: Asked = {}) => shown(client.lose(requestOf(asked)));
  return { world, client, sync, lose, personal: world.personal };
}

const NOTHING = { data: {}, receipts: {}, typing: {} };
const window = (first: number, last: number) => ({ lists: { all: list([[first, last]], config(2)) } });

test("what is not asked for is not said, whatever there is", () => {
  const { world, personal, sync } = start();
  const room = world.joinedRoom(1);
  personal.type(room, bob);
  personal.setAccountData("m.direct", {});
  expect(sync({ extensions: {} })).toMatchObject({ ...NOTHING, isAsked: [false, false, false], reads: 0 });
  expect(sync({ extensions: { typing: EVERYTHING } })).toMatchObject({ isAsked: [false, false, true] });
});

test("nothing new is neither read nor written, and what is new elsewhere is no news", () => {
  const { world, personal, sync } = start();
  const [first, second] = [world.joinedRoom(1), world.joinedRoom(1)];
  personal.receipt(first, bob, first.timeline.at(-1)!.eventId);
  sync(window(0, 0));
  expect(sync(window(0, 0))).toMatchObject({ ...NOTHING, hasNews: false, writes: false, reads: 0 });
  personal.type(first, bob);
  // Of the room that nobody asks for, nothing was told so far that it could miss.
  expect(sync(window(0, 0))).toMatchObject({ ...NOTHING, hasNews: false, writes: false, reads: 0 });
  personal.type(second, bob);
  expect(sync(window(0, 0))).toMatchObject({ typing: { room2: [bob] }, hasNews: true, writes: false });
});

describe("which rooms are told of", () => {
  const scope = (lists: readonly string[] | "all", rooms: readonly TestRoom[] | "all"): ExtensionScope => ({
    lists: lists === "all" ? lists : new Set(lists),
    rooms: rooms === "all" ? rooms : new Set([...rooms.map(({ roomId }) => roomId), "!unknown:example.org" as RoomId]),
  });

  /** Five rooms, the newest last; `foo` has the two newest, `bar` the three newest, and the oldest is subscribed to. */
  function ofScope(make: (rooms: Rooms) => ExtensionScope): readonly string[] {
    const { world, personal, sync } = start();
    const rooms = Array.from({ length: 5 }, () => world.joinedRoom(1));
    for (const room of rooms) {
      personal.type(room, bob);
      personal.receipt(room, bob, room.timeline.at(-1)!.eventId);
      personal.setAccountData("m.marked_unread", {}, room);
    }
    const lists = { foo: list([[0, 1]], config(2)), bar: list([[0, 2]], config(2)) };
    const asked = make(rooms);
    const extensions = { accountData: asked, receipts: asked, typing: asked };
    const said = sync({ extensions, lists, subscribed: rooms.slice(0, 1) });
    const names = [said.data, said.receipts, said.typing].map((each) => Object.keys(each).sort());
    expect(names).toEqual([names[0], names[0], names[0]]);
    return names[0]!;
  }

  test.each([
    ["all that the request covers", () => EVERYTHING, [1, 3, 4, 5]],
    ["none", () => scope([], []), []],
    [
      "a list and rooms, as far as they are covered",
      (rooms: Rooms) => scope(["foo", "unknown"], rooms.slice(0, 2)),
      [1, 4, 5],
    ],
    ["all lists, and no room for itself", () => scope("all", []), [3, 4, 5]],
    ["another list", () => scope(["bar"], []), [3, 4, 5]],
    ["a room that is named and listed", (rooms: Rooms) => scope([], rooms.slice(4)), [5]],
    ["no list, and all rooms", () => scope([], "all"), [1, 3, 4, 5]],
  ] as const)("%s", (_what, make, expected) => {
    expect(ofScope(make)).toEqual(expected.map((room) => `room${room}`));
  });
});

describe("account data", () => {
  test("all comes first, then what changed, a deleted type as an empty content", () => {
    const { world, personal, sync } = start();
    const [first] = [world.joinedRoom(1), world.joinedRoom(1)];
    personal.setAccountData("m.direct", { a: 1 });
    personal.setAccountData("m.push_rules", {});
    personal.setAccountData("m.marked_unread", { unread: true }, first);
    expect(sync()).toMatchObject({
      global: ['m.direct {"a":1}', "m.push_rules {}"],
      data: { room1: ['m.marked_unread {"unread":true}'] },
      hasNews: true,
    });
    expect(sync()).toMatchObject({ global: [], data: {}, hasNews: false, writes: false });
    personal.setAccountData("m.direct", {});
    personal.setAccountData("m.fully_read", {}, first);
    expect(sync()).toMatchObject({ global: ["m.direct {}"], data: { room1: ["m.fully_read {}"] }, writes: false });
  });

  test("what changed while it was switched off comes when it is switched on again, and all where it never was on", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(1);
    personal.setAccountData("m.direct", {});
    personal.setAccountData("m.marked_unread", {}, room);
    sync({ extensions: {} });
    expect(sync()).toMatchObject({ global: ["m.direct {}"], data: { room1: ["m.marked_unread {}"] }, hasNews: true });
    personal.setAccountData("m.direct", { a: 1 });
    personal.setAccountData("m.fully_read", {}, room);
    expect(sync({ extensions: {} })).toMatchObject({ writes: true, hasNews: false });
    personal.setAccountData("m.push_rules", {});
    expect(sync({ extensions: {} })).toMatchObject({ writes: false });
    expect(sync()).toMatchObject({
      global: ['m.direct {"a":1}', "m.push_rules {}"],
      data: { room1: ["m.fully_read {}"] },
    });
  });

  test("tags that are all gone are told to who may know of some, and to nobody else", () => {
    const { world, personal, sync } = start();
    const [first] = [world.joinedRoom(1), world.joinedRoom(1)];
    personal.setAccountData("m.tag", { tags: { "m.favourite": {} } }, first);
    sync();
    personal.setAccountData("m.tag", { tags: {} }, first);
    expect(sync()).toMatchObject({ data: { room1: ['m.tag {"tags":{}}'] } });
    first.setReader(Membership.leave);
    sync();
    first.setReader(Membership.join);
    expect(sync()).toMatchObject({ data: {} });
  });

  test("is told of rooms that the reader is invited to, or has left", () => {
    const { world, personal, sync } = start();
    const room = world.emptyRoom();
    room.setStripped(Membership.invite, bob);
    personal.setAccountData("m.marked_unread", {}, room);
    personal.type(room, bob);
    personal.receipt(room, bob, "$event");
    expect(sync()).toMatchObject({ data: { room1: ["m.marked_unread {}"] }, receipts: {}, typing: {} });
    room.setReader(Membership.leave, { sender: bob });
    sync();
    personal.setAccountData("m.marked_unread", { a: 1 }, room);
    expect(sync()).toMatchObject({ data: { room1: ['m.marked_unread {"a":1}'] }, receipts: {}, typing: {} });
  });
});

describe("receipts", () => {
  test("the reader's own come first, and others' public ones on the events that the answer has", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(3);
    const [old, , newest] = room.timeline.slice(-3).map(({ eventId }) => eventId);
    personal.receipt(room, alice, old!);
    personal.receipt(room, alice, old!, { type: "m.read.private" });
    personal.receipt(room, alice, old!, { threadId: "$root" });
    personal.receipt(room, bob, old!);
    personal.receipt(room, carol, newest!, { threadId: "main" });
    personal.receipt(room, carol, newest!, { type: "m.read.private" });
    expect(sync()).toMatchObject({
      receipts: {
        room1: [`${newest} m.read ${carol} main`, `${old} m.read ${alice}`, `${old} m.read.private ${alice}`].sort(),
      },
    });
  });

  test("later every new one comes, on whatever event, but for others' private ones", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(3);
    sync();
    const old = room.timeline.at(-3)!.eventId;
    personal.receipt(room, bob, old);
    personal.receipt(room, carol, "$not:stored");
    personal.receipt(room, bob, old, { type: "m.read.private" });
    personal.receipt(room, alice, old, { type: "m.read.private" });
    expect(sync()).toMatchObject({
      receipts: {
        room1: [`${old} m.read ${bob}`, `${old} m.read.private ${alice}`, `$not:stored m.read ${carol}`].sort(),
      },
      hasNews: true,
      writes: false,
    });
  });

  test("others' private ones alone are no news", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(1);
    sync();
    personal.receipt(room, bob, room.timeline.at(-1)!.eventId, { type: "m.read.private" });
    expect(sync()).toMatchObject({ receipts: {}, hasNews: false });
  });

  test("of one of a thread and one of the room on the same event, the one of the room is told", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(1);
    const { eventId } = room.timeline.at(-1)!;
    personal.receipt(room, bob, eventId);
    personal.receipt(room, bob, eventId, { threadId: "main" });
    expect(sync()).toMatchObject({ receipts: { room1: [`${eventId} m.read ${bob}`] } });
  });

  test("of one who is ignored, none is told, nor that they type", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(1);
    world.ignored = new Set<UserId>([bob]);
    personal.receipt(room, bob, room.timeline.at(-1)!.eventId);
    personal.type(room, bob, carol);
    expect(sync()).toMatchObject({ receipts: {}, typing: { room1: [carol] } });
    personal.receipt(room, bob, room.timeline.at(-2)!.eventId);
    expect(sync()).toMatchObject({ receipts: {} });
  });

  test("on events that the reader may not see, none is told but their own", () => {
    const { world, personal, sync } = start();
    const room = world.emptyRoom();
    room.setState("m.room.create");
    const hidden = room.send({ visibility: Visibility.joined }).eventId;
    const open = room.send({ visibility: Visibility.shared }).eventId;
    room.setReader(Membership.join);
    const own = room.send({ visibility: Visibility.joined }).eventId;
    sync();
    for (const eventId of [hidden, open, own]) {
      personal.receipt(room, bob, eventId, { threadId: eventId });
      personal.receipt(room, alice, eventId, { threadId: eventId });
    }
    const said = [...[hidden, open, own].map((id) => `${id} m.read ${alice} ${id}`), `${open} m.read ${bob} ${open}`];
    expect(sync()).toMatchObject({ receipts: { room1: [...said, `${own} m.read ${bob} ${own}`].sort() } });
  });

  test("a timeline that grows brings the receipts of its older events", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(4);
    const old = room.timeline.at(-4)!.eventId;
    personal.receipt(room, bob, old);
    expect(sync()).toMatchObject({ receipts: {} });
    const newest = room.timeline.at(-1)!.eventId;
    personal.receipt(room, carol, newest);
    expect(sync({ lists: { all: list("all", config(10)) } })).toMatchObject({
      receipts: { room1: [`${newest} m.read ${carol}`, `${old} m.read ${bob}`].sort() },
    });
  });

  test("a timeline that grows while they are switched off brings them when they are on again", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(4);
    const old = room.timeline.at(-4)!.eventId;
    personal.receipt(room, bob, old);
    sync();
    const lists = { all: list("all", config(10)) };
    expect(sync({ lists, extensions: {} })).toMatchObject({ receipts: {}, writes: true });
    expect(sync({ lists })).toMatchObject({ receipts: { room1: [`${old} m.read ${bob}`] }, hasNews: true });
    expect(sync({ lists })).toMatchObject({ receipts: {}, writes: false, reads: 0 });
  });

  test("switched on later, they come for the events that the client has", () => {
    const { world, personal, sync } = start();
    const room = world.joinedRoom(4);
    const [old, newest] = [room.timeline.at(-4)!.eventId, room.timeline.at(-1)!.eventId];
    personal.receipt(room, bob, newest);
    personal.receipt(room, carol, old);
    personal.receipt(room, alice, old);
    sync({ extensions: {} });
    expect(sync()).toMatchObject({
      receipts: { room1: [`${newest} m.read ${bob}`, `${old} m.read ${alice}`].sort() },
      hasNews: true,
    });
  });
});

describe("typing", () => {
  test("only where somebody types at first, then the whole list whenever it changed, until nobody does", () => {
    const { world, personal, sync } = start();
    const [first, second] = [world.joinedRoom(1), world.joinedRoom(1)];
    personal.type(first, bob, alice);
    personal.type(second);
    expect(sync()).toMatchObject({ typing: { room1: [bob, alice] } });
    personal.type(first, bob);
    expect(sync()).toMatchObject({ typing: { room1: [bob] }, hasNews: true, writes: false });
    personal.type(first);
    expect(sync()).toMatchObject({ typing: { room1: [] }, hasNews: true });
    expect(sync()).toMatchObject({ typing: {}, hasNews: false, reads: 0 });
  });
});

describe("what is remembered", () => {
  const change = ({ world, personal }: Pick<ReturnType<typeof start>, "world" | "personal">, room: TestRoom) => {
    personal.receipt(room, bob, `$event${world.position}`, { threadId: `$root${world.position}` });
    personal.type(room, carol);
    personal.setAccountData("m.marked_unread", { at: world.position }, room);
  };

  test("a room that comes back is told what changed meanwhile, and one that is new all there is", () => {
    const started = start();
    const { world, personal, sync } = started;
    const [first, second] = [world.joinedRoom(1), world.joinedRoom(1)];
    personal.setAccountData("m.fully_read", {}, first);
    personal.setAccountData("m.fully_read", {}, second);
    personal.receipt(second, alice, "$own");
    sync(window(0, 0));
    first.message();
    expect(sync(window(0, 0))).toMatchObject({ data: { room1: ["m.fully_read {}"] }, receipts: {} });
    change(started, second);
    // What it misses is written once.
    expect(sync(window(0, 0))).toMatchObject({ ...NOTHING, hasNews: false, writes: true });
    change(started, second);
    expect(sync(window(0, 0))).toMatchObject({ ...NOTHING, writes: false });
    const back = sync(window(0, 1));
    expect(back.receipts.room2).toHaveLength(2);
    expect(back).toMatchObject({ typing: { room2: [carol] }, hasNews: true });
    expect(back.data.room2).toHaveLength(1);
    expect(sync(window(0, 1))).toMatchObject({ ...NOTHING, writes: false, reads: 0 });
  });

  test("an answer that is lost is given again", () => {
    const started = start();
    const { world, sync, lose } = started;
    const room = world.joinedRoom(1);
    sync();
    change(started, room);
    const lost = lose();
    expect(lost.receipts.room1).toHaveLength(1);
    expect(sync()).toMatchObject({ data: lost.data, receipts: lost.receipts, typing: lost.typing });
  });

  test("what changed while a room is kept back comes with it", () => {
    const started = start();
    const { world, client, sync } = started;
    const room = world.joinedRoom(1);
    sync();
    room.message(alice);
    change(started, room);
    client.window = { after: (world.position - 100) as StreamPosition, longAfter: 0 as StreamPosition, sentAfterMs: 0 };
    expect(sync()).toMatchObject({ ...NOTHING, hasNews: false, writes: true });
    client.window = undefined;
    const said = sync();
    expect([said.data.room1?.length, said.receipts.room1?.length, said.typing.room1]).toEqual([1, 1, [carol]]);
  });

  test("a room that cannot be rendered keeps its receipts back, and only its own", () => {
    const started = start();
    const { world, sync } = started;
    const [first, second] = [world.joinedRoom(1), world.joinedRoom(1)];
    sync();
    for (const room of [first, second]) change(started, room);
    first.message();
    first.isBroken = true;
    expect(Object.keys(sync().receipts)).toEqual(["room2"]);
    first.isBroken = false;
    expect(Object.keys(sync().receipts)).toEqual(["room1"]);
  });

  test("a room that is joined again begins anew, also of what was not asked for then", () => {
    const started = start();
    const { world, personal, sync } = started;
    const room = world.joinedRoom(1);
    personal.receipt(room, alice, "$own");
    sync();
    room.setReader(Membership.leave);
    sync();
    room.setReader(Membership.join);
    sync({ extensions: {} });
    expect(sync()).toMatchObject({ receipts: { room1: [`$own m.read ${alice}`] } });
  });

  test("what changed before the process began is looked up once, where it is asked for", () => {
    const started = start();
    const { world, personal, sync } = started;
    const [first] = [world.joinedRoom(1), world.joinedRoom(1)];
    sync();
    change(started, first);
    world.nextPosition();
    personal.restart();
    expect(sync()).toMatchObject({ typing: { room1: [carol] }, reads: 1, writes: false });
    expect(sync()).toMatchObject({ ...NOTHING, reads: 0 });
  });
});
