import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { RoomFilter } from "../../../src/engine/lists/filter.ts";
import { NewestRooms } from "../../../src/engine/lists/newest-rooms.ts";
import type { ListFilters } from "../../../src/engine/request.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { Membership } from "../../../src/model/membership.ts";
import {
  alice,
  bob,
  carol,
  config,
  list,
  NO_FILTERS,
  request,
  type TestRoom,
  TestWorld,
} from "../../support/engine.ts";
import { EngineClient } from "./engine-client.ts";

test("the newest rooms are those that a full sort puts first, in its order from where order is asked for", () => {
  const newest = new NewestRooms();
  const activities = fc.array(fc.integer({ min: 0, max: 20 }), { maxLength: 60 });
  fc.assert(
    fc.property(activities, fc.nat(70), fc.nat(70), (activity, count, from) => {
      newest.reset(count);
      for (const [index, value] of activity.entries()) newest.offer(index, 100 - index, value);
      const sorted = activity.map((value, index) => ({ value, index }));
      sorted.sort((a, b) => b.value - a.value || b.index - a.index);
      const expected = sorted.slice(0, count).map(({ index }) => index);
      const indexes = [...newest.indexes(from)];
      expect(indexes.slice(from)).toEqual(expected.slice(from));
      const byNumber = (a: number, b: number) => a - b;
      expect(indexes.slice(0, from).sort(byNumber)).toEqual(expected.slice(0, from).sort(byNumber));
    }),
    { numRuns: 1000 },
  );
});

const stripped = (...events: readonly object[]) => Buffer.from(JSON.stringify(events));

// As the second and the fourth room are called below.
const SPACE = "!room2:example.org" as RoomId;
const SPACE_INVITE = "!room4:example.org" as RoomId;

/** Rooms by what filters look at. */
function rooms() {
  const world = new TestWorld();
  const joined = world.joinedRoom();
  const encryptedSpace = world.emptyRoom();
  encryptedSpace.setState("m.room.create", "", { type: "m.space" });
  encryptedSpace.setState("m.room.encryption");
  const invite = world.emptyRoom();
  invite.setReader(Membership.invite, { sender: bob });
  const spaceInvite = world.emptyRoom();
  spaceInvite.setReader(Membership.invite, { sender: bob });
  spaceInvite.strippedState = stripped(
    { type: "m.room.create", content: { type: "m.space" } },
    { type: "m.room.encryption", content: {} },
  );
  const openInvite = world.emptyRoom();
  openInvite.setReader(Membership.invite, { sender: bob });
  openInvite.strippedState = stripped({ type: "m.room.create", content: {} });
  const bareInvite = world.emptyRoom();
  bareInvite.setReader(Membership.invite, { sender: bob });
  bareInvite.strippedState = undefined;
  const neverSeen = world.emptyRoom();
  neverSeen.setReader(Membership.ban, { sender: bob });
  neverSeen.isComplete = false;
  const endedInvite = world.emptyRoom();
  endedInvite.setReader(Membership.leave, { sender: alice });
  endedInvite.isComplete = false;
  endedInvite.strippedState = spaceInvite.strippedState;
  world.direct = new Set([joined.roomId, invite.roomId, "!elsewhere:example.org" as RoomId]);
  world.tags.set(joined.room, new Set(["m.favourite", "u.work"]));
  world.tags.set(spaceInvite.room, new Set(["u.work"]));
  world.children.set(encryptedSpace.room, new Set([joined.roomId, invite.roomId, "!elsewhere:example.org" as RoomId]));
  world.children.set(spaceInvite.room, new Set([encryptedSpace.roomId]));
  return {
    world,
    all: { joined, encryptedSpace, invite, spaceInvite, openInvite, bareInvite, neverSeen, endedInvite },
  };
}

test.each<readonly [Partial<ListFilters>, readonly string[]]>([
  [{}, ["joined", "encryptedSpace", "invite", "spaceInvite", "openInvite", "bareInvite", "neverSeen", "endedInvite"]],
  [{ isInvite: true }, ["invite", "spaceInvite", "openInvite", "bareInvite"]],
  [{ isInvite: false }, ["joined", "encryptedSpace", "neverSeen", "endedInvite"]],
  [{ isEncrypted: true }, ["encryptedSpace", "spaceInvite", "endedInvite"]],
  [{ isEncrypted: false }, ["joined", "openInvite"]],
  [{ roomTypes: ["m.space"] }, ["encryptedSpace", "spaceInvite", "endedInvite"]],
  [{ roomTypes: [null] }, ["joined", "openInvite"]],
  [{ roomTypes: [] }, []],
  [{ notRoomTypes: ["m.space"] }, ["joined", "openInvite"]],
  [{ notRoomTypes: [null] }, ["encryptedSpace", "spaceInvite", "endedInvite"]],
  [{ notRoomTypes: [] }, ["joined", "encryptedSpace", "spaceInvite", "openInvite", "endedInvite"]],
  [{ roomTypes: ["m.space", null], notRoomTypes: [null] }, ["encryptedSpace", "spaceInvite", "endedInvite"]],
  [{ isInvite: true, isEncrypted: true }, ["spaceInvite"]],
  [{ isDm: true }, ["joined", "invite"]],
  [{ isDm: false }, ["encryptedSpace", "spaceInvite", "openInvite", "bareInvite", "neverSeen", "endedInvite"]],
  [{ isDm: true, isInvite: true }, ["invite"]],
  [{ tags: ["u.work"] }, ["joined", "spaceInvite"]],
  [{ tags: ["m.favourite", "u.nothing"] }, ["joined"]],
  [{ tags: [] }, []],
  [
    { notTags: ["m.favourite"] },
    ["encryptedSpace", "invite", "spaceInvite", "openInvite", "bareInvite", "neverSeen", "endedInvite"],
  ],
  [
    { notTags: [] },
    ["joined", "encryptedSpace", "invite", "spaceInvite", "openInvite", "bareInvite", "neverSeen", "endedInvite"],
  ],
  [{ tags: ["u.work"], notTags: ["m.favourite"] }, ["spaceInvite"]],
  [{ spaces: [SPACE] }, ["joined", "invite"]],
  // Nobody is told what a space holds that they are not in.
  [{ spaces: [SPACE_INVITE] }, []],
  [{ spaces: ["!elsewhere:example.org" as RoomId] }, []],
  [{ spaces: [] }, []],
])("filters %j let %j pass", (filters, expected) => {
  const { world, all } = rooms();
  const passing = Object.keys(all).filter((_name, index) =>
    new RoomFilter({ ...NO_FILTERS, ...filters }, world.view()).passes(index),
  );
  expect(passing).toEqual(expected);
});

test.each([
  ["before it became encrypted", -1, false],
  ["after it became encrypted", 1, true],
] as const)("a room that its reader left %s is what it was then", (_when, distance, isEncrypted) => {
  const world = new TestWorld();
  const room = world.joinedRoom();
  room.setState("m.room.encryption");
  room.setReader(Membership.ban, { sender: bob });
  room.encryptionOrderKey = room.sinceOrderKey! - distance;
  const passes = (isEncrypted: boolean) => new RoomFilter({ ...NO_FILTERS, isEncrypted }, world.view()).passes(0);
  expect([passes(true), passes(false)]).toEqual([isEncrypted, !isEncrypted]);
  room.sinceOrderKey = undefined;
  expect([passes(true), passes(false)]).toEqual([false, true]);
  room.membership = Membership.join;
  expect([passes(true), passes(false)]).toEqual([true, false]);
});

test("stripped state that cannot be read says nothing of the room", () => {
  const world = new TestWorld();
  const room = world.emptyRoom();
  room.setReader(Membership.knock);
  for (const text of ["", "{}", "[null, 1]", '[{"type":"m.room.create"}'] as const) {
    room.strippedState = Buffer.from(text);
    for (const filter of [{ isEncrypted: true }, { roomTypes: ["m.space"] }]) {
      expect(new RoomFilter({ ...NO_FILTERS, ...filter }, world.view()).passes(0)).toBe(false);
    }
  }
});

test("a room that the reader is not in stands in lists, and says so, by when that began", () => {
  const world = new TestWorld();
  const before = world.emptyRoom();
  before.message();
  const invite = world.emptyRoom();
  const after = world.emptyRoom();
  after.message();
  invite.setReader(Membership.invite, { sender: bob });
  const first = () => new EngineClient(world).sync(request({ all: list([[0, 1]]) })).rooms.map(({ roomId }) => roomId);
  expect(first()).toEqual([invite.roomId, after.roomId]);
  invite.sinceUs = (before.activity + after.activity) / 2;
  expect(first()).toEqual([after.roomId, invite.roomId]);
  const { bumpStamp } = new EngineClient(world).sync(request({ all: list("all") })).room(invite);
  expect(bumpStamp).toBe(invite.sinceUs);
});

test("an invite from an ignored user is neither listed nor shown to a subscription", () => {
  const world = new TestWorld();
  const invite = world.emptyRoom();
  invite.setReader(Membership.invite, { sender: bob });
  const member = { type: "m.room.member", state_key: alice, sender: bob, content: { membership: "invite" } };
  invite.strippedState = stripped({ ...member, state_key: carol, sender: carol }, member);
  const wanted = request({ all: list("all") }, new Map([[invite.roomId, config(1)]]));
  const seen = () => {
    const answer = new EngineClient(world).sync(wanted);
    return [answer.rooms.length, answer.outcome.response.lists.get("all")?.count];
  };
  expect(seen()).toEqual([1, 1]);
  world.ignored = new Set([carol]);
  expect(seen()).toEqual([1, 1]);
  world.ignored = new Set([bob]);
  expect(seen()).toEqual([0, 0]);
});

const anyRoom = fc.record({
  activity: fc.integer({ min: 1, max: 5 }),
  isComplete: fc.constantFrom(true, true, true, false),
  membership: fc.constantFrom(Membership.join, Membership.join, Membership.join, Membership.ban),
  isDirect: fc.boolean(),
});

const anyRange = fc.tuple(fc.nat(12), fc.nat(6)).map(([first, more]) => [first, first + more - 1] as const);

test("windows have the rooms that a full sort puts there and the count has all, whatever their neighbours are", () => {
  const anyRooms = fc.array(anyRoom, { minLength: 1, maxLength: 12 });
  const anyRanges = fc.array(anyRange, { maxLength: 3 });
  fc.assert(
    fc.property(anyRooms, anyRanges, fc.boolean(), (made, ranges, areAll) => {
      const world = new TestWorld();
      const direct = new Set<RoomId>();
      for (const { membership, isDirect, ...facts } of made) {
        const room = world.joinedRoom();
        if (membership !== Membership.join) room.setReader(membership, { sender: bob });
        Object.assign(room, { ...facts, sinceUs: facts.activity });
        if (isDirect) direct.add(room.roomId);
      }
      world.direct = direct;
      const wanted = list(ranges, config(1), areAll ? {} : { isDm: true });
      const answer = new EngineClient(world).sync(request({ all: wanted }));
      const isListed = ({ membership, isComplete, roomId }: TestRoom) =>
        (membership !== Membership.join || isComplete) && (areAll || direct.has(roomId));
      const listed = world.rooms.filter(isListed);
      const sorted = listed.toSorted((a, b) => b.activity - a.activity || a.room - b.room);
      const inside = sorted.filter((_, at) => ranges.some(([first, last]) => first <= at && at <= last));
      const ids = (rooms: readonly { readonly roomId: RoomId }[]) => rooms.map(({ roomId }) => roomId).sort();
      expect(ids(answer.rooms)).toEqual(ids(inside));
      expect(answer.outcome.response.lists.get("all")?.count).toBe(listed.length);
    }),
    { numRuns: 500 },
  );
});
