import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { roomIdsIn, roomIn, timelineOf, type WireEvent } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";
import { fooList } from "./core.ts";

const limit = (events: number): JsonObject => fooList({ timeline_limit: events });

/** So many messages; their ids. */
async function chat(person: Person, roomId: string, messages: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let n = 1; n <= messages; n += 1) ids.push(await person.say(roomId, `message ${n}`));
  return ids;
}

/** The id of a user's member event. */
const memberOf = async (witness: Person, roomId: string, user: Person): Promise<string> =>
  (await witness.state(roomId, "m.room.member", user.id)).event_id;

/** A room of user2 that user1 has joined. */
async function sharedRoom(world: World) {
  const [user1, user2] = await world.pair();
  const roomId = await user2.publicRoom();
  await user1.join(roomId);
  return { user1, user2, roomId };
}

/** A first timeline of three events, and so many that scrolling back from it brings; oldest first. */
async function firstTimeline(world: World, events: number) {
  const [user1, user2] = await world.pair();
  const roomId = await user2.publicRoom();
  const before = await chat(user2, roomId, 5);
  await user1.join(roomId);
  const told = [await memberOf(user2, roomId, user1), ...(await chat(user2, roomId, 2))];
  const answer = await user1.sync(limit(3));
  expect(timelineOf(answer, roomId)).toEqual(told);
  const { limited, num_live: live, prev_batch: token = "" } = roomIn(answer, roomId);
  expect([limited, live]).toEqual([true, 0]);
  const query = new URLSearchParams({ dir: "b", limit: String(events), from: token });
  const { chunk } = await user1.session.inRoom<{ chunk: WireEvent[] }>("GET", roomId, `messages?${query}`);
  return { before, told, scrolledBack: chunk.map(({ event_id: id }) => id).toReversed() };
}

export const timelineRows: readonly Row[] = [
  {
    number: 102,
    title: "A first timeline has the newest events in order, and scrolling back goes on right before them",
    run: async (world) => {
      const { before, scrolledBack } = await firstTimeline(world, 3);
      expect(scrolledBack).toEqual(before.slice(-3));
    },
    differs: {
      reason:
        "v2 /sync has a token for the start of a batch alone (docs/limits.md, no. 40), so that scrolling back from within one " +
        "repeats events that were told, and skips none",
      run: async (world) => {
        const { before, told, scrolledBack } = await firstTimeline(world, 6);
        expect(scrolledBack).toEqual([...before.slice(-3), ...told]);
      },
    },
  },
  {
    number: 103,
    title: "A first timeline that reaches the room's creation is not limited",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world);
      const messages = await chat(user2, roomId, 3);
      const answer = await user1.sync(limit(100));
      const room = roomIn(answer, roomId);
      expect([room.limited, room.num_live]).toEqual([false, 0]);
      const types = ["create", "member", "power_levels", "join_rules", "history_visibility", "member"];
      expect(room.timeline?.map(({ type }) => type)).toEqual(
        [...types, "message", "message", "message"].map((name) => `m.room.${name}`),
      );
      const join = await memberOf(user2, roomId, user1);
      expect(timelineOf(answer, roomId).slice(-4)).toEqual([join, ...messages]);
    },
  },
  {
    number: 104,
    title: "A later timeline has exactly what is new",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world);
      await chat(user2, roomId, 1);
      const { pos } = await user1.sync(limit(100));
      const news = await chat(user2, roomId, 2);
      const answer = await user1.sync(limit(100), { pos });
      expect(timelineOf(answer, roomId)).toEqual(news);
      const { limited, num_live: live, initial } = roomIn(answer, roomId);
      expect([limited, live, initial]).toEqual([false, 2, undefined]);
    },
  },
  {
    number: 105,
    title:
      "A room that was joined since has what came before the join as history, and the join and what follows as live",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      const before = await chat(user2, roomId, 2);
      const { pos } = await user1.sync(limit(4));
      await user1.join(roomId);
      const after = await chat(user2, roomId, 2);
      const answer = await user1.sync(limit(4), { pos });
      const join = await memberOf(user2, roomId, user1);
      expect(timelineOf(answer, roomId)).toEqual([before.at(-1), join, ...after]);
      const { limited, num_live: live, initial } = roomIn(answer, roomId);
      expect([limited, live, initial]).toEqual([true, 3, true]);
    },
  },
  {
    number: 106,
    title: "The first timeline of a room that the user is banned from ends with the ban",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world);
      const before = await chat(user2, roomId, 4);
      await user2.ban(roomId, user1);
      const ban = await memberOf(user2, roomId, user1);
      await chat(user2, roomId, 2);
      const answer = await user1.sync(limit(3));
      expect(timelineOf(answer, roomId)).toEqual([...before.slice(-2), ban]);
      const { limited, num_live: live } = roomIn(answer, roomId);
      expect([limited, live]).toEqual([true, 0]);
    },
  },
  {
    number: 107,
    title: "A ban comes with what is new before it, and nothing that came after it",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world);
      await chat(user2, roomId, 2);
      const { pos } = await user1.sync(limit(4));
      const news = await chat(user2, roomId, 2);
      await user2.ban(roomId, user1);
      const ban = await memberOf(user2, roomId, user1);
      await chat(user2, roomId, 2);
      const answer = await user1.sync(limit(4), { pos });
      expect(timelineOf(answer, roomId)).toEqual([...news, ban]);
      const { limited, num_live: live } = roomIn(answer, roomId);
      expect([limited, live]).toEqual([false, 3]);
    },
  },
  {
    number: 108,
    title: "A room that the user was banned from before does not come with what happens in it",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world);
      await chat(user2, roomId, 2);
      await user2.ban(roomId, user1);
      await chat(user2, roomId, 2);
      const { pos } = await user1.sync(limit(4));
      await chat(user2, roomId, 2);
      expect(roomIdsIn(await user1.sync(limit(4), { pos }))).toEqual([]);
    },
  },
  {
    number: 109,
    title: "A larger timeline limit brings the newest events once, and going back to it brings nothing again",
    run: async (world) => {
      const { user1, user2, roomId } = await sharedRoom(world);
      const messages = [...(await chat(user2, roomId, 15))];
      const subscribed = (events: number): JsonObject => ({
        ...fooList({ required_state: [["m.room.create", ""]] }),
        room_subscriptions: { [roomId]: { timeline_limit: events, required_state: [["m.room.create", ""]] } },
      });
      const first = await user1.sync(fooList({ required_state: [["m.room.create", ""]] }));
      expect(timelineOf(first, roomId)).toEqual(messages.slice(-1));
      const second = await user1.sync(subscribed(10), { pos: first.pos });
      expect(timelineOf(second, roomId)).toEqual(messages.slice(-10));
      const {
        unstable_expanded_timeline: isExpanded,
        limited,
        initial,
        required_state: state,
      } = roomIn(second, roomId);
      expect([isExpanded, limited, initial, state]).toEqual([true, true, undefined, undefined]);
      let { pos } = second;
      for (const events of [5, 10]) {
        const message = await user2.say(roomId);
        const answer = await user1.sync(subscribed(events), { pos });
        expect(timelineOf(answer, roomId)).toEqual([message]);
        const { unstable_expanded_timeline: isExpandedAgain, limited: isLimited } = roomIn(answer, roomId);
        expect([isExpandedAgain, isLimited]).toEqual([undefined, false]);
        pos = answer.pos;
      }
    },
  },
];
