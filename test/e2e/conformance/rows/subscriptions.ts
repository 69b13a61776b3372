import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { type Answer, roomIdsIn, roomIn, stateOf, timelineOf } from "../answer.ts";
import { LONG_POLL_MS, type Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";
import { fooList } from "./core.ts";

const CREATE = ["m.room.create", ""];
const NAME = ["m.room.name", ""];
const TOPIC = ["org.example.topic", ""];
/** How a client that reads membership from state alone learns that it is not in a room. */
const OWN_MEMBER = ["m.room.member", "$ME"];

/** A request that subscribes to one room and has no list. */
const subscription = (roomId: string, config: JsonObject): JsonObject => ({
  room_subscriptions: { [roomId]: { timeline_limit: 1, required_state: [], ...config } },
});

/** The answer to a request that may wait for news, and does not. */
async function answeredAtOnce(person: Person, request: JsonObject, pos: string): Promise<Answer> {
  const asked = performance.now();
  const answer = await person.sync(request, { pos, timeoutMs: LONG_POLL_MS });
  expect(performance.now() - asked).toBeLessThan(LONG_POLL_MS / 2);
  return answer;
}

/** A room that user1 left, and that goes on without them. */
async function leftRoom(world: World) {
  const [user1, user2] = await world.pair();
  const roomId = await user2.publicRoom({ name: "the name then" });
  const topic = await user2.session.setState(roomId, "org.example.topic", { of: "the time before" });
  await user1.join(roomId);
  const { event_id: join } = await user2.state(roomId, "m.room.member", user1.id);
  await user1.leave(roomId);
  const { event_id: leave } = await user2.state(roomId, "m.room.member", user1.id);
  await user2.session.setState(roomId, "org.example.topic", { of: "the time after" });
  await user2.session.setState(roomId, "m.room.name", { name: "the name since" });
  await user2.say(roomId);
  return { user1, roomId, topic, join, leave };
}

export const subscriptionRows: readonly Row[] = [
  {
    number: 47,
    title:
      "A subscription to a joined room brings the state and the timeline that it asks for, and nothing of an invite",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const answer = await user1.sync(subscription(roomId, { required_state: [CREATE] }));
      expect(roomIdsIn(answer)).toEqual([roomId]);
      expect(timelineOf(answer, roomId)).toEqual([(await user2.state(roomId, "m.room.member", user1.id)).event_id]);
      expect(stateOf(answer, roomId)).toEqual([(await user2.state(roomId, "m.room.create")).event_id]);
      const room = roomIn(answer, roomId);
      expect([room.limited, room.num_live]).toEqual([true, 0]);
      expect(room).not.toHaveProperty("invite_state");
    },
  },
  {
    number: 48,
    title:
      "A subscription that asks for more state than the list of its room is answered at once with that state alone",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const { pos } = await user1.sync(fooList());
      const request = { ...fooList(), ...subscription(roomId, { required_state: [CREATE] }) };
      const answer = await answeredAtOnce(user1, request, pos);
      expect(stateOf(answer, roomId)).toEqual([(await user2.state(roomId, "m.room.create")).event_id]);
      expect(timelineOf(answer, roomId)).toEqual([]);
      expect(roomIn(answer, roomId)).not.toHaveProperty("initial");
    },
  },
  {
    number: 49,
    title:
      "A subscription that asks for more state than it did is answered at once with what it did not ask for before",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "the name" });
      await user1.join(roomId);
      const { pos } = await user1.sync(subscription(roomId, { required_state: [CREATE] }));
      const answer = await answeredAtOnce(user1, subscription(roomId, { required_state: [CREATE, NAME] }), pos);
      expect(stateOf(answer, roomId)).toEqual([(await user2.state(roomId, "m.room.name")).event_id]);
      expect(timelineOf(answer, roomId)).toEqual([]);
      expect(roomIn(answer, roomId)).not.toHaveProperty("initial");
    },
  },
  {
    number: 50,
    title: "A subscription to a room that was left long ago shows it as it was at that time",
    run: async (world) => {
      const { user1, roomId, topic, join, leave } = await leftRoom(world);
      const answer = await user1.sync(subscription(roomId, { timeline_limit: 2, required_state: [TOPIC, OWN_MEMBER] }));
      expect(stateOf(answer, roomId)).toEqual([topic, leave].toSorted());
      expect(timelineOf(answer, roomId)).toEqual([join, leave]);
      const room = roomIn(answer, roomId);
      expect([room.name, room.limited, room.num_live]).toEqual(["the name then", true, 0]);
      expect(room).not.toHaveProperty("invite_state");
    },
  },
  {
    number: 51,
    title: "A subscription to a private room that the user never was in brings nothing",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.room();
      await user2.say(roomId);
      expect(roomIdsIn(await user1.sync(subscription(roomId, { required_state: [CREATE] })))).toEqual([]);
    },
  },
  {
    number: 52,
    title: "A subscription to a room that the world may read, and that the user never was in, brings nothing either",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const content = { history_visibility: "world_readable" };
      const visibility = { type: "m.room.history_visibility", state_key: "", content };
      const roomId = await user2.publicRoom({ initial_state: [visibility] });
      await user2.say(roomId);
      expect(roomIdsIn(await user1.sync(subscription(roomId, { required_state: [CREATE] })))).toEqual([]);
    },
  },
];
