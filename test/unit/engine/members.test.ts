import { expect, test } from "@jest/globals";
import { memberReads } from "../../../src/engine/members.ts";
import { planSync } from "../../../src/engine/plan.ts";
import type { RoomData } from "../../../src/model/room-reads.ts";
import { alice, bob, carol, config, list, request, TestWorld } from "../../support/engine.ts";
import { NOTHING_TOLD } from "../../support/engine-nothing.ts";

function planned(world: TestWorld, ...state: readonly string[]) {
  const asked = request({ all: list("all", config(3, ...state)) });
  const to = world.position;
  return planSync({ request: asked, connection: NOTHING_TOLD, from: undefined, to, view: world.view() });
}

test("senders of the events that are sent are read, and not those of events that are cut off", () => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  room.message(carol);
  for (let count = 0; count < 3; count++) room.message(bob);
  const plan = planned(world, "lazy");
  expect(memberReads(plan, world.read(plan.reads))).toEqual(new Map([[room.room, [bob]]]));
});

test("members that the first stage brought are not read again", () => {
  const world = new TestWorld();
  const room = world.joinedRoom(3);
  room.heroes = [bob];
  const plan = planned(world, "lazy", `m.room.member ${bob}`);
  expect(memberReads(plan, world.read(plan.reads)).size).toBe(0);
});

test("heroes are read for a room without a name, lazy members or not", () => {
  const world = new TestWorld();
  const [unnamed, named] = [world.joinedRoom(3), world.joinedRoom(3)];
  unnamed.heroes = [bob, carol];
  named.heroes = [bob];
  named.setState("m.room.name", "", { name: "Garden" });
  const plan = planned(world);
  expect(memberReads(plan, world.read(plan.reads))).toEqual(new Map([[unnamed.room, [bob, carol]]]));
});

test("a room whose data is broken keeps no other room from being read", () => {
  const world = new TestWorld();
  const [broken, sound] = [world.joinedRoom(), world.joinedRoom()];
  for (const room of [broken, sound]) room.message(alice);
  const plan = planned(world, "lazy");
  const data = new Map(world.read(plan.reads));
  data.set(broken.room, { ...data.get(broken.room), chunks: undefined } as unknown as RoomData);
  const reads = memberReads(plan, data);
  expect(reads.has(sound.room)).toBe(true);
  expect(reads.has(broken.room)).toBe(false);
});
