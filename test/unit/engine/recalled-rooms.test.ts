import { expect, test } from "@jest/globals";
import { planSync } from "../../../src/engine/plan.ts";
import type { SyncRequest } from "../../../src/engine/request.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import { alice, bob, config, list, request, TestWorld } from "../../support/engine.ts";
import { NOTHING_TOLD } from "../../support/engine-nothing.ts";
import { EngineClient } from "./engine-client.ts";

const unknownOf = (world: TestWorld, asked: SyncRequest) =>
  planSync({ request: asked, connection: NOTHING_TOLD, from: undefined, to: world.position, view: world.view() })
    .unknown;

const subscribing = (...rooms: readonly { readonly roomId: RoomId }[]) =>
  request({}, new Map(rooms.map(({ roomId }) => [roomId, config(1)] as const)));

test("a subscription to a room of which nothing is known of the reader is told to who can ask for it", () => {
  const world = new TestWorld();
  const [joined, foreign] = [world.joinedRoom(), world.emptyRoom()];
  foreign.isOfReader = false;
  const unknown = { roomId: "!unknown:example.org" as RoomId };
  expect(unknownOf(world, subscribing(joined, foreign, unknown))).toEqual([foreign.roomId, unknown.roomId]);
});

test.each([
  ["left", alice],
  ["sent away from", bob],
])("a room that the reader turns out to have %s long ago is in the subscription that asked for it, and in no list", (_how, sender) => {
  const world = new TestWorld();
  const left = world.emptyRoom();
  left.isOfReader = false;
  const wanted = { ...subscribing(left), lists: request({ main: list([[0, 9]], config(1)) }).lists! };
  const client = new EngineClient(world);
  expect(client.sync(wanted).rooms).toEqual([]);
  left.setReader(Membership.leave, { sender });
  left.isRecalled = true;
  const answer = client.sync(wanted);
  expect(answer.rooms.map(({ roomId }) => roomId)).toEqual([left.roomId]);
  expect(answer.outcome.response.lists.get("main")?.count).toBe(0);
  expect(client.sync(wanted).outcome.response.lists.get("main")?.count).toBe(0);
});

test("while a first sync arrives, what is not known yet is not asked for", () => {
  const world = new TestWorld();
  world.announcedJoined = 3;
  const unknown = { roomId: "!unknown:example.org" as RoomId };
  expect(unknownOf(world, subscribing(unknown))).toEqual([]);
});
