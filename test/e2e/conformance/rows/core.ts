import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { countOf, roomIdsIn, roomIn, timelineOf } from "../answer.ts";
import type { Row } from "../row.ts";

/** One list, as most rows ask for it. */
export const fooList = (list: JsonObject = {}): JsonObject => ({
  lists: { "foo-list": { ranges: [[0, 99]], timeline_limit: 1, required_state: [], ...list } },
});

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
];
