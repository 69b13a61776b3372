import { describe, expect, test } from "@jest/globals";
import { awaitsMembers, memberReads } from "../../../src/engine/members.ts";
import { planSync } from "../../../src/engine/plan.ts";
import type { SyncRequest } from "../../../src/engine/request.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { alice, bob, carol, config, list, request, type TestRoom, TestWorld } from "../../support/engine.ts";
import { NOTHING_TOLD } from "../../support/engine-nothing.ts";
import { EngineClient } from "./engine-client.ts";

const BEFORE_ALL = 0 as StreamPosition;

const wanting = (...state: readonly string[]): SyncRequest => request({ all: list("all", config(3, ...state)) });
const members = (...users: readonly string[]) => users.map((userId) => `m.room.member ${userId}`);

/** A room of which Bob and Alice are known, and not all. */
function lazyRoom() {
  const world = new TestWorld();
  const room = world.joinedRoom();
  room.membersKnownAt = undefined;
  return { world, room, client: new EngineClient(world) };
}

/** All members are known now: these as well, of whom no stream has told. */
function learn(world: TestWorld, room: TestRoom, ...users: readonly (typeof carol)[]): void {
  for (const userId of users) {
    const content = { membership: "join" };
    room.add({ type: "m.room.member", stateKey: userId, sender: userId, content, isOutOfTimeline: true }, BEFORE_ALL);
  }
  room.membersKnownAt = world.nextPosition();
  room.changedAt = room.membersKnownAt;
}

describe.each([
  ["by their type", wanting("m.room.member *"), []],
  ["with all state", wanting("* *"), ["m.room.create"]],
] as const)("all members of a room, wanted %s,", (_, wanted, others) => {
  test("are those that are known, until all are; then all are told, once", () => {
    const { world, room, client } = lazyRoom();
    expect(client.sync(wanted).state(room)).toEqual([...others, ...members(alice, bob)]);
    expect(client.sync(wanted).rooms).toEqual([]);
    learn(world, room, carol);
    expect(client.sync(wanted).state(room).toSorted()).toEqual(members(alice, bob, carol));
    const last = client.sync(wanted);
    expect([last.rooms, last.writes]).toEqual([[], false]);
  });

  test("are told as they change, known or not", () => {
    const { world, room, client } = lazyRoom();
    client.sync(wanted);
    room.setMember(bob, "join", { displayname: "Bo" });
    expect(client.sync(wanted).state(room)).toEqual(members(bob));
    learn(world, room);
    client.sync(wanted);
    room.setMember(bob, "leave");
    expect(client.sync(wanted).state(room)).toEqual(members(bob));
  });

  test("are told again after a time in which not all were known, be it over before the next answer", () => {
    const { world, room, client } = lazyRoom();
    learn(world, room);
    client.sync(wanted);
    learn(world, room, carol);
    expect(client.sync(wanted).state(room)).toContain(`m.room.member ${carol}`);
    room.membersKnownAt = undefined;
    room.message();
    expect(client.sync(wanted).state(room)).toEqual([]);
    learn(world, room);
    expect(client.sync(wanted).state(room)).toContain(`m.room.member ${carol}`);
  });

  test("are told as far as they are known where they are asked for later", () => {
    const { room, client } = lazyRoom();
    client.sync(wanting("m.room.create"));
    const answer = client.sync(wanted);
    expect(answer.state(room)).toEqual([...others, ...members(alice, bob)]);
    expect(answer.room(room).isTimelineExpanded).toBe(false);
    expect(client.sync(wanted).rooms).toEqual([]);
  });
});

describe.each([
  ["by their type", [`m.room.member ${carol}`]],
  ["in any type", [`* ${carol}`]],
  ["beside lazy members", ["lazy", `m.room.member ${carol}`]],
  ["beside the own one in any type", [`* ${alice}`, `m.room.member ${carol}`]],
] as const)("a member of a room who is named %s", (_, state) => {
  const wanted = wanting(...state);
  const isOfCarol = (each: string) => each === `m.room.member ${carol}`;

  test("and is not known is told when all are, once", () => {
    const { world, room, client } = lazyRoom();
    expect(client.sync(wanted).state(room).filter(isOfCarol)).toEqual([]);
    expect(client.sync(wanted).rooms).toEqual([]);
    learn(world, room, carol);
    expect(client.sync(wanted).state(room)).toEqual(members(carol));
    const last = client.sync(wanted);
    expect([last.rooms, last.writes]).toEqual([[], false]);
  });

  test("and is known is told at once, also where they are named later, and each time that they change", () => {
    const { room, client } = lazyRoom();
    room.setMember(carol);
    client.sync(wanting("m.room.create", `m.room.member ${bob}`));
    expect(client.sync(wanted).state(room)).toContain(`m.room.member ${carol}`);
    room.setMember(carol, "leave");
    expect(client.sync(wanted).state(room)).toEqual(members(carol));
  });
});

test.each([
  [["m.room.create", "lazy", `m.room.member ${alice}`], 0],
  [[`* ${alice}`, "* @nobody"], 0],
  [[`m.room.member ${carol}`], 1],
  [["lazy", `* ${carol}`], 0],
  [[`* ${carol}`], 1],
  [["m.room.member *"], 1],
] as const)("for %j the members of %i rooms are to be read", (state, rooms) => {
  const { world } = lazyRoom();
  const asked = { request: wanting(...state), connection: NOTHING_TOLD, from: undefined };
  expect(planSync({ ...asked, to: world.position, view: world.view() }).wishes).toHaveLength(rooms);
});

test("a reader of the members that the timeline needs is not told what was learnt of others", () => {
  const { world, room, client } = lazyRoom();
  client.sync(wanting("lazy"));
  learn(world, room, carol);
  expect(client.sync(wanting("lazy")).rooms).toEqual([]);
});

test("members of selectors without a type stay told, whatever else is not known", () => {
  const { room, client } = lazyRoom();
  const wanted = wanting(`* ${carol}`, "* *");
  client.sync(wanted);
  room.setMember(carol);
  expect(client.sync(wanted).state(room)).toEqual(members(carol));
});

describe("an answer awaits members", () => {
  const awaits = (world: TestWorld, since: StreamPosition, ...state: readonly string[]) => {
    const view = world.view();
    const plan = planSync({
      request: wanting(...state),
      connection: NOTHING_TOLD,
      from: undefined,
      to: world.position,
      view,
    });
    const data = world.read(plan.reads);
    return awaitsMembers(plan, data, world.readMembers(memberReads(plan, data)), since);
  };

  test("of which all are wanted for the first time, and not all are known", () => {
    const { world, room } = lazyRoom();
    expect(awaits(world, world.position, "m.room.member *")).toBe(true);
    learn(world, room);
    expect(awaits(world, world.position, "m.room.member *")).toBe(false);
  });

  test("that new events need and nobody has told of", () => {
    const { world, room } = lazyRoom();
    const before = world.position;
    room.message(carol);
    expect(awaits(world, before, "lazy")).toBe(true);
    expect(awaits(world, before, "m.room.name")).toBe(false);
    expect(awaits(world, world.position, "lazy")).toBe(false);
    room.setMember(carol);
    expect(awaits(world, before, "lazy")).toBe(false);
  });
});

test("one who is named is not all that are known, whatever else is wanted of any type", () => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  const client = new EngineClient(world);
  client.sync(wanting("* key", ...members(bob)));
  room.membersKnownAt = undefined;
  room.setMember(bob);
  client.sync(wanting("* key", ...members(bob)));
  const answer = client.sync(wanting("* key", "m.room.member *"));
  expect(answer.state(room)).toEqual(expect.arrayContaining(members(alice)));
});
