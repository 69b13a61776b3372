import { expect } from "@jest/globals";
import { roomIdsIn } from "../answer.ts";
import { subscribedTo, typingIn, withExtension } from "../extensions.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";

const TYPING = withExtension("typing");

const openRoom = (roomId: string) => withExtension("typing", { rooms: [roomId] }, subscribedTo([roomId]));

/** So many rooms of the first that the others are in. */
async function sharedRooms(count: number, owner: Person, ...others: readonly Person[]): Promise<readonly string[]> {
  const rooms: string[] = [];
  while (rooms.length < count) {
    const roomId = await owner.publicRoom();
    for (const person of others) await person.join(roomId);
    rooms.push(roomId);
  }
  return rooms;
}

export const typingRows: readonly Row[] = [
  {
    number: 145,
    title: "A new connection without rooms is told of nobody who types",
    run: async (world) => {
      const user = await world.user();
      expect(typingIn(await user.sync(TYPING))).toEqual({});
    },
  },
  {
    number: 146,
    title: "Where nobody types nothing is told of typing later either",
    run: async (world) => {
      const user = await world.user();
      const { pos } = await user.sync(TYPING);
      expect(typingIn(await user.sync(TYPING, { pos }))).toEqual({});
    },
  },
  {
    number: 147,
    title: "A new connection is told who types in the rooms that it asks for, the user too",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [room1 = "", room2 = ""] = await sharedRooms(2, user2, user1);
      for (const person of [user1, user2]) {
        await person.type(room1);
        await person.type(room2);
      }
      const request = withExtension("typing", { rooms: [room1, room2] }, subscribedTo([room1]));
      expect(typingIn(await user1.sync(request))).toEqual({ [room1]: [user1.id, user2.id] });
    },
  },
  {
    number: 148,
    title: "Later it is told of rooms alone in which somebody began to type or ended, not who typed before",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const user3 = await world.user("user3");
      const rooms = await sharedRooms(4, user2, user1, user3);
      const [room1 = "", room2 = "", room3 = "", room4 = ""] = rooms;
      for (const roomId of [room1, room2, room4]) {
        await user2.type(roomId);
        await user2.type(roomId, false);
      }
      const request = withExtension("typing", { rooms }, subscribedTo([room1, room3, room4]));
      const first = await user1.sync(request);
      // Whether a room is named in which everybody has ended says nothing.
      expect(Object.values(typingIn(first)).flat()).toEqual([]);
      await user1.type(room1);
      await user1.type(room2);
      await user3.type(room3);
      const next = await user1.sync(request, { pos: first.pos });
      expect(typingIn(next)).toEqual({ [room1]: [user1.id], [room3]: [user3.id] });
      await user3.type(room3, false);
      const last = await user1.sync(request, { pos: next.pos });
      expect(typingIn(last)).toEqual({ [room3]: [] });
      expect([roomIdsIn(next), roomIdsIn(last)]).toEqual([[], []]);
    },
  },
  {
    number: 149,
    title: "A request that waits is answered when somebody begins to type",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [roomId = ""] = await sharedRooms(1, user2, user1);
      const { pos } = await user1.sync(openRoom(roomId));
      const waiting = await user1.waitingSync(openRoom(roomId), pos);
      await waiting.staysHeld();
      await user2.type(roomId);
      expect(typingIn(await waiting.answer)).toEqual({ [roomId]: [user2.id] });
    },
  },
  {
    number: 150,
    title: "A request that waits for typing is not answered by account data",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [roomId = ""] = await sharedRooms(1, user2, user1);
      const { pos } = await user1.sync(openRoom(roomId));
      const waiting = await user1.waitingSync(openRoom(roomId), pos);
      await user1.session.setAccountData("org.example.unasked", { for: "nobody" });
      await waiting.staysHeld();
      await user2.type(roomId);
      expect(typingIn(await waiting.answer)).toEqual({ [roomId]: [user2.id] });
    },
  },
];
