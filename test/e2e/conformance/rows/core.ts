import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { countOf, roomIdsIn, roomIn, timelineOf, windowOf } from "../answer.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";

/** One list, as most rows ask for it. */
export const fooList = (list: JsonObject = {}): JsonObject => ({
  lists: { "foo-list": { ranges: [[0, 99]], timeline_limit: 1, required_state: [], ...list } },
});

/** Three rooms of user2 that user1 has joined, with something said last in the third, then the first, then the second. */
async function activeRooms(world: World) {
  const [user1, user2] = await world.pair();
  const rooms: string[] = [];
  for (let made = 0; made < 3; made++) {
    const roomId = await user2.publicRoom();
    await user1.join(roomId);
    rooms.push(roomId);
  }
  const [room1 = "", room2 = "", room3 = ""] = rooms;
  for (const roomId of [room3, room1, room2]) await user2.say(roomId);
  return { user1, newestFirst: [room2, room1, room3] };
}

export const coreRows: readonly Row[] = [
  {
    number: 1,
    title: "A list of one joined room has its count and one SYNC operation over the range that was asked for",
    run: async (world) => {
      const user = await world.user();
      const roomId = await user.room();
      const { lists } = await user.sync(fooList());
      const ops = [{ op: "SYNC", range: [0, 99], room_ids: [roomId] }];
      expect(lists).toEqual({ "foo-list": { count: 1, ops } });
    },
  },
  {
    number: 3,
    title: "A request that waits is answered by a message, with nothing else in the timeline",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const { pos } = await user1.sync(fooList());
      const waiting = await user1.waitingSync(fooList(), pos);
      await waiting.staysHeld();
      const message = await user2.say(roomId);
      expect(timelineOf(await waiting.answer, roomId)).toEqual([message]);
    },
  },
  {
    number: 4,
    title: "A request that waits is not answered by account data that it does not ask for",
    run: async (world) => {
      const user = await world.user();
      await user.room();
      const { pos } = await user.sync(fooList());
      const waiting = await user.waitingSync(fooList(), pos);
      await user.session.setAccountData("org.example.unasked", { for: "nobody" });
      await waiting.staysHeld();
      const other = await user.room();
      expect(roomIdsIn(await waiting.answer)).toEqual([other]);
    },
  },
  {
    number: 5,
    title: "A room that the user was banned from is listed until it is forgotten",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      await user2.ban(roomId, user1);
      const banned = await user1.sync(fooList());
      expect(windowOf(banned)).toEqual([roomId]);
      await user1.forget(roomId);
      const forgotten = await user1.sync(fooList(), { pos: banned.pos });
      expect(windowOf(forgotten)).toEqual([]);
      expect(countOf(forgotten)).toBe(0);
      expect(roomIdsIn(forgotten)).toEqual([]);
    },
  },
  {
    number: 6,
    title: "A room that was forgotten and joined again is listed",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const joined = await user1.sync(fooList());
      expect(windowOf(joined)).toEqual([roomId]);
      await user1.leave(roomId);
      await user1.forget(roomId);
      await user1.join(roomId);
      const again = await user1.sync(fooList(), { pos: joined.pos });
      expect(windowOf(again)).toEqual([roomId]);
      expect(roomIn(again, roomId).initial).toBe(true);
    },
  },
  {
    number: 9,
    title: "An invite is not shown to a new connection once its sender is ignored",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const own = await user1.room();
      const invitedTo = await user2.room();
      await user2.invite(invitedTo, user1);
      const before = await user1.sync(fooList());
      expect(windowOf(before).toSorted()).toEqual([own, invitedTo].toSorted());
      await user1.ignore(user2);
      const after = await user1.sync(fooList());
      expect(windowOf(after)).toEqual([own]);
      expect(roomIdsIn(after)).toEqual([own]);
    },
  },
  {
    number: 10,
    title: "An invite from a user who is ignored already is not told",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const own = await user1.room();
      await user1.ignore(user2);
      const before = await user1.sync(fooList());
      await user2.invite(await user2.room(), user1);
      const after = await user1.sync(fooList(), { pos: before.pos });
      expect(windowOf(after)).toEqual([own]);
      expect(roomIdsIn(after)).toEqual([]);
    },
  },
  {
    number: 11,
    title: "A list is ordered by what happened last in its rooms",
    run: async (world) => {
      const { user1, newestFirst } = await activeRooms(world);
      const answer = await user1.sync({
        lists: {
          two: { ranges: [[0, 1]], timeline_limit: 1, required_state: [] },
          all: { ranges: [[0, 99]], timeline_limit: 1, required_state: [] },
        },
      });
      expect(windowOf(answer, "two")).toEqual(newestFirst.slice(0, 2));
      expect(windowOf(answer, "all").toSorted()).toEqual(newestFirst.toSorted());
    },
  },
  {
    number: 12,
    title: "A range includes both its ends",
    run: async (world) => {
      const { user1, newestFirst } = await activeRooms(world);
      const one = await user1.sync(fooList({ ranges: [[0, 0]] }));
      expect(windowOf(one)).toEqual(newestFirst.slice(0, 1));
      expect(roomIdsIn(one)).toEqual(newestFirst.slice(0, 1));
      const two = await user1.sync(fooList({ ranges: [[0, 1]] }));
      expect(windowOf(two)).toEqual(newestFirst.slice(0, 2));
      expect(roomIdsIn(two)).toEqual(newestFirst.slice(0, 2).toSorted());
    },
  },
  {
    number: 13,
    title: "A room in which nothing happened does not come again",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [quiet, busy] = [await user2.publicRoom(), await user2.publicRoom()];
      await user1.join(quiet);
      await user1.join(busy);
      const { pos } = await user1.sync(fooList());
      await user2.say(busy);
      expect(roomIdsIn(await user1.sync(fooList(), { pos }))).toEqual([busy]);
    },
  },
  {
    number: 14,
    title: "A room without timeline and state in the request comes all the same, as initial",
    run: async (world) => {
      const user = await world.user();
      const roomId = await user.room();
      const answer = await user.sync(fooList({ timeline_limit: 0 }));
      expect(roomIn(answer, roomId).initial).toBe(true);
      expect(countOf(answer)).toBe(1);
    },
  },
  {
    number: 18,
    title: "A room that the homeserver leaves out of syncs is not shown",
    needsOwnServers: true,
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const excluded = await user2.publicRoom();
      const shown = await user2.publicRoom();
      await world.target.excludeRooms([excluded]);
      const { pos } = await user1.sync(fooList());
      await user1.join(excluded);
      await user1.join(shown);
      await user2.say(excluded);
      for (const answer of [await user1.sync(fooList(), { pos }), await user1.sync(fooList())]) {
        expect(windowOf(answer)).toEqual([shown]);
        expect(countOf(answer)).toBe(1);
        expect(roomIdsIn(answer)).toEqual([shown]);
      }
    },
  },
];
