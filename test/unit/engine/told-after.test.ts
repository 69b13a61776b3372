import { expect, test } from "@jest/globals";
import type { SyncRequest } from "../../../src/engine/request.ts";
import { BEFORE_ALL } from "../../../src/model/stream-position.ts";
import { bob, carol, config, list, request, TestWorld } from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

const asking = (limit: number, ...state: readonly string[]): SyncRequest =>
  request({ all: list("all", config(limit, ...state)) });
const members = (...users: readonly string[]) => users.map((userId) => `m.room.member ${userId}`);

function started() {
  const world = new TestWorld();
  const room = world.joinedRoom(1);
  return { world, room, client: new EngineClient(world) };
}

test("who was sent all members that are known is sent a timeline with its members once", () => {
  const { world, room, client } = started();
  room.membersKnownAt = undefined;
  room.message(carol);
  client.sync(asking(1, "m.room.member *"));
  room.add({ type: "m.room.member", stateKey: carol, isOutOfTimeline: true }, BEFORE_ALL);
  room.membersKnownAt = room.changedAt = world.nextPosition();
  const answer = client.sync(asking(1, "lazy"));
  expect(answer.room(room).isTimelineExpanded).toBe(true);
  expect(answer.state(room)).toEqual(members(carol));
  expect(client.sync(asking(1, "lazy")).rooms).toEqual([]);
});

test.each([
  ["with all that are known", "m.room.member *"],
  ["by name", `m.room.member ${bob}`],
])("a member who changed while nobody wanted members is sent %s", (_, wanted) => {
  const { room, client } = started();
  room.membersKnownAt = undefined;
  client.sync(asking(1, wanted));
  const changed = room.setMember(bob);
  client.sync(asking(1));
  expect(client.sync(asking(1, wanted)).room(room).requiredState).toContainEqual(changed);
});

test("a timeline that was sent without its members is sent with them, though lazy members were wanted without it before", () => {
  const { room, client } = started();
  room.setState("m.room.topic");
  client.sync(asking(1));
  expect(client.sync(asking(0, "m.room.topic", "lazy")).state(room)).toEqual(["m.room.topic"]);
  const answer = client.sync(asking(1, "m.room.topic", "lazy"));
  expect(answer.room(room).isTimelineExpanded).toBe(true);
  expect(answer.state(room)).toEqual(members(bob));
});

test("a member of the timeline who changed while nobody wanted members is sent when they are wanted again", () => {
  const { room, client } = started();
  client.sync(asking(1, "lazy"));
  room.send({ type: "m.room.member", stateKey: bob, isOutOfTimeline: true });
  client.sync(asking(1));
  expect(client.sync(asking(1, "lazy")).state(room)).toEqual(members(bob));
  expect(client.sync(asking(1, "lazy")).rooms).toEqual([]);
});

test("a message before those of ignored users that fill a timeline is missing in a gap that the next message tells of", () => {
  const { world, room, client } = started();
  world.ignored = new Set([carol]);
  client.sync(asking(1));
  room.message(bob);
  room.message(carol);
  for (const answer of [client.sync(asking(1)), client.sync(asking(1))]) expect(answer.rooms).toEqual([]);
  expect(client.sync(asking(1)).writes).toBe(false);
  const last = room.message(bob);
  const answer = client.sync(asking(1));
  expect(answer.timeline(room)).toEqual([last.eventId]);
  expect(answer.room(room).timeline?.limited).toBe(true);
});

test("a message writes nothing for who was told all members and wants those of the timeline", () => {
  const { room, client } = started();
  client.sync(asking(1, "* *"));
  room.message(bob);
  // Bob counts as sent with a timeline from now on.
  expect(client.sync(asking(1, "lazy")).state(room)).toEqual(members(bob));
  room.message(bob);
  const answer = client.sync(asking(1, "lazy"));
  expect(answer.timeline(room)).toHaveLength(1);
  expect(answer.writes).toBe(false);
});
