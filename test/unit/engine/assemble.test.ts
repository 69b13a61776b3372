import { expect, test } from "@jest/globals";
import { Membership } from "../../../src/model/membership.ts";
import { Visibility } from "../../../src/model/visibility.ts";
import { alice, bob, carol, config, list, request, type TestRoom, TestWorld } from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

const asking = (limit: number, ...state: readonly string[]) => request({ all: list("all", config(limit, ...state)) });

function started(messages = 3, ...state: readonly string[]) {
  const world = new TestWorld();
  const room = world.joinedRoom(messages);
  const client = new EngineClient(world);
  const wanted = asking(5, ...state);
  const first = client.sync(wanted);
  return { world, room, client, wanted, first };
}

const liveCount = (answer: ReturnType<EngineClient["sync"]>, room: TestRoom) => answer.room(room).timeline?.numLive;

test("a first answer has the room's columns, counts and bump stamp", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  room.setState("m.room.name", "", { name: "Garden" });
  room.setState("m.room.avatar", "", { url: "mxc://x/y" });
  room.setCounts(4, 2);
  expect(new EngineClient(world).sync(asking(5)).room(room)).toMatchObject({
    isInitial: true,
    membership: Membership.join,
    name: "Garden",
    avatar: "mxc://x/y",
    heroes: undefined,
    joinedCount: 1,
    invitedCount: 0,
    notificationCount: 4,
    highlightCount: 2,
    bumpStamp: room.bumpStamp,
    timeline: { numLive: 0 },
    strippedState: undefined,
  });
});

test("a delta has no column that did not change", () => {
  const { room, client, wanted } = started();
  room.setState("m.room.topic");
  expect(client.sync(wanted).room(room)).toMatchObject({
    isInitial: false,
    name: undefined,
    avatar: undefined,
    heroes: undefined,
    joinedCount: undefined,
    invitedCount: undefined,
    bumpStamp: undefined,
  });
});

test("a changed name and a removed avatar are told", () => {
  const { room, client, wanted } = started();
  room.setState("m.room.avatar", "", { url: "mxc://x/y" });
  client.sync(wanted);
  room.setState("m.room.name", "", { name: "Library" });
  room.setState("m.room.avatar", "", {});
  expect(client.sync(wanted).room(room)).toMatchObject({ name: "Library", avatar: null });
});

test("heroes of a room without a name are told first, when members change, and not while it has a name", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  room.heroes = [bob, carol];
  room.setMember(bob, "join", { displayname: "Bo", avatar_url: "mxc://x/bo" });
  const client = new EngineClient(world);
  const heroes = [
    { userId: bob, displayName: "Bo", avatarUrl: "mxc://x/bo" },
    { userId: carol, displayName: undefined, avatarUrl: undefined },
  ];
  expect(client.sync(asking(5)).room(room).heroes).toEqual(heroes);
  room.message();
  expect(client.sync(asking(5)).room(room).heroes).toBeUndefined();
  room.setMember(carol, "join", { displayname: 7 });
  expect(client.sync(asking(5)).room(room).heroes).toEqual(heroes);
  room.setState("m.room.name", "", { name: "Library" });
  room.setMember(carol, "leave");
  expect(client.sync(asking(5)).room(room)).toMatchObject({ name: "Library", heroes: undefined });
  room.setState("m.room.name", "", {});
  expect(client.sync(asking(5)).room(room)).toMatchObject({ name: undefined, heroes });
});

test("counts are told when a member changed", () => {
  const { room, client, wanted } = started();
  room.setMember(carol, "invite", {}, bob);
  room.invitedCount = 1;
  expect(client.sync(wanted).room(room)).toMatchObject({ joinedCount: 1, invitedCount: 1 });
});

test.each([
  ["m.room.message", true],
  ["m.reaction", false],
] as const)("an event of type %s makes the bump stamp news: %s", (type, isNews) => {
  const { room, client, wanted } = started();
  room.send({ type });
  expect(client.sync(wanted).room(room).bumpStamp).toBe(isNews ? room.bumpStamp : undefined);
});

test("after a gap the bump stamp is told whatever the events are", () => {
  const { room, client, wanted } = started();
  for (let count = 0; count < 7; count++) room.send({ type: "m.reaction" });
  expect(client.sync(wanted).room(room)).toMatchObject({ bumpStamp: room.bumpStamp, timeline: { limited: true } });
});

test("a first answer has all selected state, create and own member first", () => {
  const world = new TestWorld();
  const room = world.emptyRoom();
  room.setState("m.room.topic");
  room.setMember(bob);
  room.setReader(Membership.join);
  room.setState("m.room.create");
  const state = new EngineClient(world).sync(asking(1, "* *")).state(room);
  expect(state.slice(0, 2)).toEqual(["m.room.create", `m.room.member ${alice}`]);
  expect(new Set(state)).toEqual(
    new Set(["m.room.create", `m.room.member ${alice}`, "m.room.topic", `m.room.member ${bob}`]),
  );
});

test("a delta has the selected state that changed, also what stands in no timeline, in its last value", () => {
  const { room, client, wanted } = started(3, "m.room.topic");
  room.setState("m.room.topic", "", { topic: "first" });
  const last = room.send({ type: "m.room.topic", stateKey: "", isOutOfTimeline: true });
  room.setState("m.room.pinned_events");
  const answer = client.sync(wanted);
  expect(answer.room(room).requiredState.map(({ eventId }) => eventId)).toEqual([last.eventId]);
});

test("lazy members are those of the timeline's senders and targets, each once", () => {
  const { room, client, wanted, first } = started(3, "lazy");
  expect(first.state(room)).toEqual([`m.room.member ${alice}`, `m.room.member ${bob}`]);
  expect(first.writes).toBe(true);
  room.message(bob);
  expect(client.sync(wanted).state(room)).toEqual([]);
  room.setMember(carol, "invite", {}, bob);
  expect(client.sync(wanted).state(room)).toEqual([`m.room.member ${carol}`]);
  room.message(carol);
  const again = client.sync(wanted);
  expect(again.state(room)).toEqual([]);
  expect(again.writes).toBe(false);
});

test("a sender that the state selects by name is not sent as a lazy member too", () => {
  const { room, client, wanted, first } = started(3, "lazy", `m.room.member ${bob}`, `m.room.member ${alice}`);
  expect(first.outcome.delta.sentMembers.size).toBe(0);
  expect(first.state(room)).toHaveLength(2);
  room.message(bob);
  expect(client.sync(wanted).state(room)).toEqual([]);
});

test("a member that was sent as a lazy one is sent again by name only when it changed", () => {
  const { room, client } = started(3, "lazy");
  const byName = asking(5, `m.room.member ${bob}`);
  expect(client.sync(byName).rooms).toEqual([]);
  room.message(bob);
  expect(client.sync(byName).state(room)).toEqual([]);
  room.setMember(bob, "join", { displayname: "Bobby" });
  expect(client.sync(byName).state(room)).toEqual([`m.room.member ${bob}`]);
});

test("a lazy member who changed while nobody asked is sent by name", () => {
  const { room, client } = started(3, "lazy");
  room.setMember(bob, "join", { displayname: "Bobby" });
  expect(client.sync(asking(5)).state(room)).toEqual([]);
  expect(client.sync(asking(5, `m.room.member ${bob}`)).state(room)).toEqual([`m.room.member ${bob}`]);
});

test("the reader's own member that was sent by name is sent as a lazy one only when it changed", () => {
  const { room, client } = started(0, `m.room.member ${alice}`);
  room.message(alice);
  expect(client.sync(asking(1, "lazy")).state(room)).toEqual([]);
  room.setMember(alice, "join", { displayname: "Alicia" });
  room.message(alice);
  expect(client.sync(asking(1, "lazy")).state(room)).toEqual([`m.room.member ${alice}`]);
});

test("the reader's own member is sent with lazy ones of a room that is joined again, though it was sent by name", () => {
  const { room, client } = started(0, `m.room.member ${alice}`);
  room.setReader(Membership.leave);
  client.sync(asking(5));
  room.setReader(Membership.join);
  room.message(alice);
  expect(client.sync(asking(1, "lazy")).state(room)).toEqual([`m.room.member ${alice}`]);
});

test("wildcard state and lazy members together are all state but members, and the members that are needed", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setMember(carol);
  for (let count = 0; count < 5; count++) room.message(bob);
  const state = new EngineClient(world).sync(asking(5, "* *", "lazy")).state(room);
  expect(state).toEqual(["m.room.create", `m.room.member ${bob}`]);
});

test("every member change is told while nothing is missing", () => {
  const { room, client, wanted } = started(3, "lazy");
  room.send({ type: "m.room.member", stateKey: carol, isOutOfTimeline: true });
  expect(client.sync(wanted).state(room)).toEqual([`m.room.member ${carol}`]);
});

test("a member who changed behind a gap is sent again when a message needs it", () => {
  const { room, client, wanted } = started(3, "lazy");
  room.setMember(bob, "join", { displayname: "Bobby" });
  for (let count = 0; count < 6; count++) room.message(carol);
  const gap = client.sync(wanted);
  expect(gap.room(room).timeline?.limited).toBe(true);
  expect(gap.state(room)).toEqual([]);
  room.message(bob);
  expect(client.sync(wanted).state(room)).toEqual([`m.room.member ${bob}`]);
});

test("a sender who changed behind a gap is sent with the message", () => {
  const { room, client, wanted } = started(3, "lazy");
  const changed = room.setMember(bob, "join", { displayname: "Bobby" });
  for (let count = 0; count < 6; count++) room.message(bob);
  expect(
    client
      .sync(wanted)
      .room(room)
      .requiredState.map(({ eventId }) => eventId),
  ).toEqual([changed.eventId]);
});

test("no member is sent without a timeline", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  expect(new EngineClient(world).sync(asking(0, "lazy")).room(room)).toMatchObject({
    requiredState: [],
    timeline: undefined,
    bumpStamp: room.bumpStamp,
  });
});

test("a room that is joined again gets its lazy members again", () => {
  const { room, client, wanted } = started(3, "lazy");
  room.setReader(Membership.leave);
  client.sync(wanted);
  room.setReader(Membership.join);
  room.message(bob);
  expect(client.sync(wanted).state(room)).toContain(`m.room.member ${bob}`);
});

test("only events learnt after pos are live", () => {
  const world = new TestWorld();
  const [room, other] = [world.joinedRoom(3), world.joinedRoom()];
  const client = new EngineClient(world);
  client.sync(request({ top: list([[0, 0]]) }));
  room.message();
  room.message();
  const answer = client.sync(request({ top: list([[0, 0]]) }));
  expect(answer.room(room).isInitial).toBe(true);
  expect(liveCount(answer, room)).toBe(2);
  expect(answer.find(other)).toBeUndefined();
});

test("history that is learnt with the join is not live", () => {
  const world = new TestWorld();
  const client = new EngineClient(world);
  client.sync(asking(5));
  const room = world.emptyRoom();
  room.setState("m.room.create");
  room.message();
  room.setReader(Membership.join);
  room.message();
  expect(liveCount(client.sync(asking(5)), room)).toBe(2);
});

test("an invite has its stripped state and nothing of the room", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setState("m.room.name", "", { name: "Secret" });
  room.setReader(Membership.invite, { sender: bob });
  expect(new EngineClient(world).sync(asking(5, "* *")).room(room)).toMatchObject({
    isInitial: true,
    membership: Membership.invite,
    strippedState: room.strippedState,
    bumpStamp: room.since,
    name: undefined,
    joinedCount: undefined,
    requiredState: [],
    timeline: undefined,
  });
});

test("a departure has the own member event and the timeline up to it, and nothing that came after", () => {
  const { room, client, wanted } = started(3, "m.room.topic");
  const last = room.message();
  const leave = room.setReader(Membership.leave, { sender: bob });
  room.setState("m.room.topic");
  room.setState("m.room.name", "", { name: "After" });
  room.message();
  const answer = client.sync(wanted);
  expect(answer.timeline(room)).toEqual([last.eventId, leave.eventId]);
  expect(answer.state(room)).toEqual([`m.room.member ${alice}`]);
  expect(answer.room(room)).toMatchObject({
    isInitial: false,
    bumpStamp: room.since,
    name: undefined,
    timeline: { limited: false, numLive: 2 },
  });
});

test("a departure brings state that changed before it or is asked for anew, as of then", () => {
  const { room, client } = started(3, "m.room.topic", "m.room.pinned_events", "m.room.member *");
  const [acl, topic] = [room.setState("m.room.server_acl"), room.setState("m.room.topic")];
  const leave = room.setReader(Membership.leave, { sender: bob });
  for (const type of ["m.room.topic", "m.room.pinned_events", "m.room.server_acl"]) room.setState(type);
  room.setMember(carol);
  const state = ["m.room.topic", "m.room.pinned_events", "m.room.member *", "m.room.server_acl"];
  const { requiredState } = client.sync(asking(5, ...state)).room(room);
  const ids = requiredState.map(({ eventId }) => eventId);
  expect(ids.toSorted()).toEqual([leave, acl, topic].map(({ eventId }) => eventId).toSorted());
});

test("of state that changed without a place in the timeline nobody knows whether it was there at a departure", () => {
  const { room, client } = started(3, "m.room.create");
  room.send({ type: "m.room.topic", stateKey: "", isOutOfTimeline: true });
  room.setReader(Membership.leave, { sender: bob });
  expect(client.sync(asking(5, "m.room.create", "m.room.topic")).state(room)).toEqual([`m.room.member ${alice}`]);
});

test("a ban from a room that was never told has its state as of then", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setState("m.room.topic");
  room.setReader(Membership.ban, { sender: bob, previous: "join" });
  room.setState("m.room.topic");
  room.setState("m.room.pinned_events");
  const answer = new EngineClient(world).sync(asking(2, "m.room.topic", "m.room.pinned_events", "m.room.member *"));
  const expected = ["m.room.topic", `m.room.member ${alice}`, `m.room.member ${bob}`];
  expect(answer.state(room).toSorted()).toEqual(expected.toSorted());
});

test("a ban from a room that was never told names it as it was called then, and tells its state only where that is asked for", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setState("m.room.name", "", { name: "before" });
  room.setState("m.room.avatar", "", { url: "mxc://test/before" });
  room.setReader(Membership.ban, { sender: bob, previous: "join" });
  room.setState("m.room.name", "", { name: "after" });
  [room.name, room.avatar] = ["after", "mxc://test/after"];
  const client = new EngineClient(world);
  const answer = client.sync(asking(2));
  expect(answer.room(room)).toMatchObject({ name: "before", avatar: "mxc://test/before", joinedCount: undefined });
  expect(answer.state(room)).toEqual([`m.room.member ${alice}`]);
  room.setReader(Membership.leave, { sender: bob });
  expect(client.sync(asking(2)).room(room)).toMatchObject({ name: undefined, avatar: undefined });
});

test.each([
  ["an empty name", "join", { name: "" }],
  ["a name that is none", "join", { name: 7 }],
  ["an invite alone", "invite", { name: "secret" }],
] as const)("a ban from a room that was never told names nothing after %s", (_, previous, content) => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setState("m.room.name", "", content);
  room.setReader(Membership.ban, { sender: bob, previous });
  expect(new EngineClient(world).sync(asking(2)).room(room).name).toBeUndefined();
});

test("a ban from a room that was never told ends its last events, and shows none that came after", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  const last = room.message();
  const ban = room.setReader(Membership.ban, { sender: bob, previous: "join" });
  room.message();
  const answer = new EngineClient(world).sync(asking(2));
  expect(answer.timeline(room)).toEqual([last.eventId, ban.eventId]);
  expect(answer.room(room)).toMatchObject({ isInitial: true, timeline: { limited: true, numLive: 0 } });
});

test.each([undefined, "invite"] as const)("a departure that was never told shows no history after %s", (previous) => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.setReader(Membership.leave, { sender: bob, ...(previous && { previous }) });
  expect(new EngineClient(world).sync(asking(5, "* *")).room(room)).toMatchObject({
    isInitial: true,
    timeline: undefined,
    requiredState: [{ stateKey: alice }],
  });
});

test("an invite that is retracted is told with the own member event and without stripped state", () => {
  const world = new TestWorld();
  const room = world.emptyRoom();
  room.setReader(Membership.invite, { sender: bob });
  const client = new EngineClient(world);
  client.sync(asking(5));
  room.setReader(Membership.leave, { sender: bob });
  expect(client.sync(asking(5)).room(room)).toMatchObject({
    isInitial: false,
    strippedState: undefined,
    timeline: undefined,
    requiredState: [{ stateKey: alice }],
  });
});

test("a transaction id goes with the event that has one", () => {
  const { room, client, wanted } = started();
  const [mine, other] = [room.message(alice), room.message(bob)];
  room.transactionIds.set(mine.nid, "txn");
  expect(client.sync(wanted).room(room).timeline?.events).toEqual([
    { event: mine, transactionId: "txn" },
    { event: other, transactionId: undefined },
  ]);
});

test("a room that cannot be read is left out, named, and told when it can be read", () => {
  const { world, room, client, wanted } = started();
  const sound = world.joinedRoom(1);
  const missed = room.message();
  room.isBroken = true;
  const answer = client.sync(wanted);
  expect(answer.find(room)).toBeUndefined();
  expect(answer.room(sound).isInitial).toBe(true);
  expect(answer.outcome.failedRooms).toMatchObject([{ room: room.roomId }]);
  room.isBroken = false;
  expect(client.sync(wanted).timeline(room)).toEqual([missed.eventId]);
});

test("a departure of which no event is known is told by one that is made up, since clients would take it for a join", () => {
  const { room, client, wanted } = started();
  room.setReader(Membership.leave);
  room.departure = undefined;
  const answer = client.sync(wanted);
  expect(answer.outcome.failedRooms).toEqual([]);
  const [event] = answer.room(room).requiredState;
  expect(JSON.parse(String(event?.body))).toEqual({
    type: "m.room.member",
    state_key: alice,
    sender: alice,
    content: { membership: "leave" },
    event_id: event?.eventId,
    origin_server_ts: event?.originServerTsMs,
  });
  expect(client.sync(wanted).rooms).toEqual([]);
});

test("an event that the reader may not see makes no entry", () => {
  const { room, client, wanted } = started();
  room.sinceOrderKey = Number.MAX_SAFE_INTEGER;
  room.send({ visibility: Visibility.joined });
  const answer = client.sync(wanted);
  expect(answer.rooms).toEqual([]);
  expect(answer.outcome.hasNews).toBe(false);
});
