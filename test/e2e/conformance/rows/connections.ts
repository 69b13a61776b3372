import { expect } from "@jest/globals";
import { roomIdsIn, roomIn, stateKeysOf, stateOf, timelineOf } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";
import { fooList } from "./core.ts";

const NAMED = [
  ["m.room.create", ""],
  ["m.room.history_visibility", ""],
  ["m.room.name", ""],
];
/** A list that shows the most recent room only, with its state. */
const TOP_STATE = fooList({ ranges: [[0, 0]], timeline_limit: 0, required_state: NAMED });
/** A list that shows the most recent room only, with its last messages. */
const TOP_MESSAGES = fooList({ ranges: [[0, 0]], timeline_limit: 5 });

/** Two rooms of user2 that user1 has joined. */
async function twoRooms(world: World) {
  const [user1, user2] = await world.pair();
  const room1 = await user2.publicRoom({ name: "first" });
  const room2 = await user2.publicRoom({ name: "second" });
  await user1.join(room1);
  await user1.join(room2);
  return { user1, user2, room1, room2 };
}

/** Messages one after the other; their ids. */
async function sayTimes(person: Person, roomId: string, times: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let at = 1; at <= times; at++) ids.push(await person.say(roomId, `message ${at}`));
  return ids;
}

const rename = (person: Person, roomId: string, name: string): Promise<string> =>
  person.session.setState(roomId, "m.room.name", { name });

/** A room leaves the window while it gets that many messages, and comes back with one more. */
async function comesBackAfter(world: World, missed: number): Promise<void> {
  const { user1, user2, room1, room2 } = await twoRooms(world);
  await user2.say(room1);
  const first = await user1.sync(TOP_MESSAGES);
  expect(roomIdsIn(first)).toEqual([room1]);
  const messages = await sayTimes(user2, room1, missed);
  await user2.say(room2);
  const outside = await user1.sync(TOP_MESSAGES, { pos: first.pos });
  expect(roomIdsIn(outside)).toEqual([room2]);
  const last = await user2.say(room1);
  const back = await user1.sync(TOP_MESSAGES, { pos: outside.pos });
  expect(roomIdsIn(back)).toEqual([room1]);
  expect(timelineOf(back, room1)).toEqual([...messages, last].slice(-5));
  expect(roomIn(back, room1)).toMatchObject({ limited: missed > 5 });
  expect(roomIn(back, room1)).not.toHaveProperty("initial");
  expect(roomIn(back, room1)).not.toHaveProperty("required_state");
}

export const connectionRows: readonly Row[] = [
  {
    number: 19,
    title: "Of the state of a room that is known only what changed comes",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "before" });
      await user1.join(roomId);
      const request = fooList({ timeline_limit: 0, required_state: NAMED });
      const first = await user1.sync(request);
      expect(stateKeysOf(first, roomId)).toEqual(NAMED.map(([type]) => type));
      const renamed = await rename(user2, roomId, "after");
      const next = await user1.sync(request, { pos: first.pos });
      expect(stateOf(next, roomId)).toEqual([renamed]);
      expect(roomIn(next, roomId)).not.toHaveProperty("initial");
    },
  },
  {
    number: 20,
    title: "A room that comes back into the window brings the messages that were missed, up to the limit",
    run: async (world) => {
      await comesBackAfter(world, 1);
      await comesBackAfter(world, 10);
    },
  },
  {
    number: 21,
    title: "A room that comes back into the window brings the state that changed meanwhile and no other",
    run: async (world) => {
      const { user1, user2, room1, room2 } = await twoRooms(world);
      await user2.say(room1);
      const first = await user1.sync(TOP_STATE);
      expect(roomIdsIn(first)).toEqual([room1]);
      const renamed = await rename(user2, room1, "renamed unseen");
      await user2.say(room2);
      const outside = await user1.sync(TOP_STATE, { pos: first.pos });
      expect(roomIdsIn(outside)).toEqual([room2]);
      await user2.say(room1);
      const back = await user1.sync(TOP_STATE, { pos: outside.pos });
      expect(roomIdsIn(back)).toEqual([room1]);
      expect(stateOf(back, room1)).toEqual([renamed]);
      expect(roomIn(back, room1)).not.toHaveProperty("initial");
    },
  },
  {
    number: 22,
    title: "A room that was never in the window comes as initial, with all state that was asked for",
    run: async (world) => {
      const { user1, user2, room1, room2 } = await twoRooms(world);
      await user2.say(room1);
      const first = await user1.sync(TOP_STATE);
      expect(roomIdsIn(first)).toEqual([room1]);
      const renamed = await rename(user2, room2, "renamed before it was seen");
      const next = await user1.sync(TOP_STATE, { pos: first.pos });
      expect(roomIdsIn(next)).toEqual([room2]);
      expect(roomIn(next, room2).initial).toBe(true);
      expect(stateKeysOf(next, room2)).toEqual(NAMED.map(([type]) => type));
      expect(stateOf(next, room2)).toContain(renamed);
    },
  },
  {
    number: 23,
    title: "A room that was never in the window brings its last messages, however old they are",
    run: async (world) => {
      const { user1, user2, room1, room2 } = await twoRooms(world);
      const old = await sayTimes(user2, room2, 4);
      await user2.say(room1);
      const first = await user1.sync(TOP_MESSAGES);
      expect(roomIdsIn(first)).toEqual([room1]);
      const fresh = await sayTimes(user2, room2, 2);
      const next = await user1.sync(TOP_MESSAGES, { pos: first.pos });
      expect(roomIdsIn(next)).toEqual([room2]);
      expect(timelineOf(next, room2)).toEqual([...old, ...fresh].slice(-5));
      expect(roomIn(next, room2)).toMatchObject({ initial: true, limited: true });
    },
  },
];
