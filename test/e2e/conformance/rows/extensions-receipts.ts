import { expect } from "@jest/globals";
import { roomIdsIn, roomIn, timelineOf } from "../answer.ts";
import { readersIn, subscribedTo, TOP_ROOM, withExtension } from "../extensions.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";

const RECEIPTS = withExtension("receipts");
const READ = "m.read";
const READ_PRIVATE = "m.read.private";

/** A room of user2 that user1 is in, with so many messages. */
async function sharedRoom(world: World, messages: number) {
  const [user1, user2] = await world.pair();
  const roomId = await user2.publicRoom();
  await user1.join(roomId);
  const events: string[] = [];
  while (events.length < messages) events.push(await user2.say(roomId));
  const [event1 = "", event2 = "", event3 = ""] = events;
  return { user1, user2, roomId, event1, event2, event3 };
}

/** Subscribed to the room, with so many of its events. */
const openRoom = (roomId: string, events: number) =>
  withExtension("receipts", { rooms: [roomId] }, subscribedTo([roomId], events));

export const receiptRows: readonly Row[] = [
  {
    number: 130,
    title: "A new connection without rooms has no receipts",
    run: async (world) => {
      const user = await world.user();
      expect(readersIn(await user.sync(RECEIPTS))).toEqual({});
    },
  },
  {
    number: 131,
    title: "Where nothing was read there are no receipts later either",
    run: async (world) => {
      const user = await world.user();
      const { pos } = await user.sync(RECEIPTS);
      expect(readersIn(await user.sync(RECEIPTS, { pos }))).toEqual({});
    },
  },
  {
    number: 132,
    title: "A first timeline comes with the receipts of its events, without others' private ones, and of no other room",
    run: async (world) => {
      const { user1, user2, roomId: room1, event1, event2 } = await sharedRoom(world, 2);
      const user3 = await world.user("user3");
      const user4 = await world.user("user4");
      const room2 = await user2.publicRoom();
      const unseen = await user2.say(room2);
      for (const person of [user3, user4]) await person.join(room1);
      await user1.join(room2);
      const last = await user2.say(room1);
      await user1.read(room1, last);
      await user2.read(room1, last);
      await user3.read(room1, event1);
      await user4.read(room1, last, READ_PRIVATE);
      await user3.read(room1, event2, READ_PRIVATE);
      await user1.read(room2, unseen);
      const request = withExtension("receipts", { rooms: [room1, room2] }, subscribedTo([room1], 1));
      const answer = await user1.sync(request);
      expect(timelineOf(answer, room1)).toEqual([last]);
      expect(readersIn(answer)).toEqual({ [room1]: { [last]: { [READ]: [user1.id, user2.id] } } });
    },
  },
  {
    number: 133,
    title: "New receipts come alone, of the rooms that are asked for, and none that were told",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const user3 = await world.user("user3");
      const rooms: string[] = [];
      const events: string[] = [];
      while (rooms.length < 4) {
        const roomId = await user2.publicRoom();
        await user1.join(roomId);
        await user3.join(roomId);
        rooms.push(roomId);
        events.push(await user2.say(roomId));
      }
      const [room1 = "", room2 = "", room3 = "", room4 = ""] = rooms;
      const [event1 = "", event2 = "", event3 = "", event4 = ""] = events;
      await user2.read(room1, event1);
      await user1.read(room2, event2);
      await user1.read(room4, event4);
      const request = withExtension("receipts", { rooms }, subscribedTo([room1, room3, room4]));
      const { pos } = await user1.sync(request);
      await user1.read(room1, event1);
      await user1.read(room2, event2, READ_PRIVATE);
      await user3.read(room3, event3);
      const answer = await user1.sync(request, { pos });
      expect(readersIn(answer)).toEqual({
        [room1]: { [event1]: { [READ]: [user1.id] } },
        [room3]: { [event3]: { [READ]: [user3.id] } },
      });
      // Unread counts may come with the user's own receipt.
      expect(roomIdsIn(answer).filter((roomId) => roomId !== room1)).toEqual([]);
      expect(answer.rooms?.[room1]?.timeline ?? []).toEqual([]);
    },
  },
  {
    number: 134,
    title: "A new receipt of an event that the timeline has no place for comes all the same",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world, 0);
      const { pos } = await user1.sync(openRoom(roomId, 1));
      const event1 = await user2.say(roomId);
      const event2 = await user2.say(roomId);
      await user1.read(roomId, event1);
      await user2.read(roomId, event2);
      const answer = await user1.sync(openRoom(roomId, 1), { pos });
      expect(timelineOf(answer, roomId)).toEqual([event2]);
      expect(readersIn(answer)).toEqual({
        [roomId]: { [event1]: { [READ]: [user1.id] }, [event2]: { [READ]: [user2.id] } },
      });
    },
  },
  {
    number: 135,
    title: "A request that waits is answered by a receipt",
    run: async (world) => {
      const { user1, user2, roomId, event1 } = await sharedRoom(world, 1);
      const { pos } = await user1.sync(openRoom(roomId, 0));
      const waiting = await user1.waitingSync(openRoom(roomId, 0), pos);
      await waiting.staysHeld();
      await user2.read(roomId, event1);
      expect(readersIn(await waiting.answer)).toEqual({ [roomId]: { [event1]: { [READ]: [user2.id] } } });
    },
  },
  {
    number: 136,
    title: "A request that waits for receipts is not answered by account data, nor by another's private receipt",
    run: async (world) => {
      const { user1, user2, roomId, event1 } = await sharedRoom(world, 1);
      const { pos } = await user1.sync(openRoom(roomId, 0));
      const waiting = await user1.waitingSync(openRoom(roomId, 0), pos);
      await user1.session.setAccountData("org.example.unasked", { for: "nobody" });
      await user2.read(roomId, event1, READ_PRIVATE);
      await waiting.staysHeld();
      await user1.read(roomId, event1, READ_PRIVATE);
      expect(readersIn(await waiting.answer)).toEqual({ [roomId]: { [event1]: { [READ_PRIVATE]: [user1.id] } } });
    },
  },
  {
    number: 137,
    title: "A room that comes back into the window brings the receipts that were missed, and none that were told",
    run: async (world) => {
      const { user1, user2, roomId: room2, event1 } = await sharedRoom(world, 1);
      const room1 = await user2.publicRoom();
      await user1.join(room1);
      const shown = await user2.say(room2);
      await user1.read(room2, shown);
      const request = withExtension("receipts", {}, TOP_ROOM);
      const first = await user1.sync(request);
      expect(readersIn(first)).toEqual({ [room2]: { [shown]: { [READ]: [user1.id] } } });
      await user2.say(room1);
      await user2.read(room2, event1);
      const outside = await user1.sync(request, { pos: first.pos });
      expect(roomIdsIn(outside)).toEqual([room1]);
      expect(readersIn(outside)).toEqual({});
      await user2.say(room2);
      const back = await user1.sync(request, { pos: outside.pos });
      expect(roomIdsIn(back)).toEqual([room2]);
      expect(readersIn(back)).toEqual({ [room2]: { [event1]: { [READ]: [user2.id] } } });
    },
  },
  {
    number: 138,
    title: "The user's own receipts come with a room whatever its timeline, those of others with its events alone",
    run: async (world) => {
      const { user1, user2, roomId, event1, event2, event3 } = await sharedRoom(world, 3);
      await user1.read(roomId, event1);
      await user1.read(roomId, event2, READ_PRIVATE);
      await user2.read(roomId, event2);
      const answer = await user1.sync(openRoom(roomId, 1));
      expect(timelineOf(answer, roomId)).toEqual([event3]);
      expect(readersIn(answer)).toEqual({
        [roomId]: { [event1]: { [READ]: [user1.id] }, [event2]: { [READ_PRIVATE]: [user1.id] } },
      });
    },
  },
  {
    number: 139,
    title: "A larger timeline limit brings the receipts of the older events that come with it",
    run: async (world) => {
      const { user1, user2, roomId, event1, event3 } = await sharedRoom(world, 3);
      await user2.read(roomId, event1);
      const first = await user1.sync(openRoom(roomId, 1));
      expect(timelineOf(first, roomId)).toEqual([event3]);
      expect(readersIn(first)).toEqual({});
      const expanded = await user1.sync(openRoom(roomId, 5), { pos: first.pos });
      expect(roomIn(expanded, roomId).unstable_expanded_timeline).toBe(true);
      expect(readersIn(expanded)).toEqual({ [roomId]: { [event1]: { [READ]: [user2.id] } } });
    },
  },
];
