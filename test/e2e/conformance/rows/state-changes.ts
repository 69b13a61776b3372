import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { idsOf, roomIdsIn, roomIn, stateKeysOf, stateOf, timelineOf } from "../answer.ts";
import { LONG_POLL_MS, type Person } from "../person.ts";
import type { Row } from "../row.ts";
import { fooList } from "./core.ts";
import { eachDeparture } from "./departures.ts";

const FOO = "org.example.foo";
const BAR = "org.example.bar";
const CREATE = ["m.room.create", ""];
const NAME = ["m.room.name", ""];
const ALL_MEMBERS = ["m.room.member", "*"];

/** A list that wants this state and one event. */
const wanting = (...state: (readonly string[])[]): JsonObject => fooList({ required_state: state });

/** Ids of the current values of state keys, sorted. */
async function currentState(person: Person, roomId: string, keys: readonly (readonly string[])[]) {
  const events = await person.allState(roomId);
  return idsOf(events.filter(({ type, state_key: key }) => keys.some(([t, k]) => t === type && k === key)));
}

export const stateChangeRows: readonly Row[] = [
  {
    number: 92,
    title: "The state key $ME stands for the user who asks, in events of any type",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ power_level_content_override: { events: { [FOO]: 0 } } });
      await user1.join(roomId);
      await user2.session.setState(roomId, FOO, { of: 2 }, user2.id);
      await user2.session.setState(roomId, FOO, { of: "nobody" });
      await user1.session.setState(roomId, FOO, { of: 1 }, user1.id);
      await user1.say(roomId);
      await user2.say(roomId);
      const request = fooList({
        required_state: [CREATE, ["m.room.member", "$ME"], [FOO, "$ME"]],
        timeline_limit: 3,
      });
      const keys = [CREATE, ["m.room.member", user1.id], [FOO, user1.id]];
      expect(stateOf(await user1.sync(request), roomId)).toEqual(await currentState(user2, roomId, keys));
    },
  },
  {
    number: 93,
    title: "A room that is first told after the user left or was banned has its state as of then",
    run: (world) =>
      eachDeparture(world, async ({ user1, user2, user3, depart }) => {
        const roomId = await user2.publicRoom();
        await user3.join(roomId);
        await user2.session.setState(roomId, FOO, { is: "before" });
        const { pos } = await user1.sync({});
        await user1.join(roomId);
        await depart(roomId);
        const members = [user1, user2, user3].map(({ id }) => ["m.room.member", id]);
        const expected = await currentState(user2, roomId, [CREATE, [FOO, ""], ...members]);
        await user2.session.setState(roomId, FOO, { is: "after" });
        await user3.leave(roomId);
        const request = fooList({ required_state: [CREATE, ALL_MEMBERS, [FOO, ""]], timeline_limit: 3 });
        const answer = await user1.sync(request, { pos });
        expect(roomIn(answer, roomId).initial).toBe(true);
        expect(stateOf(answer, roomId)).toEqual(expected);
      }),
  },
  {
    number: 94,
    title:
      "After the user left or was banned, a room that was told has that and state that is asked for anew, as of then",
    run: (world) =>
      eachDeparture(world, async ({ user1, user2, user3, depart }) => {
        const roomId = await user2.publicRoom();
        await user1.join(roomId);
        await user3.join(roomId);
        await user2.session.setState(roomId, FOO, { is: "before" });
        await user2.session.setState(roomId, BAR, { is: "before" });
        const before = [CREATE, ALL_MEMBERS, [FOO, ""]];
        const { pos } = await user1.sync(fooList({ required_state: before, timeline_limit: 3 }));
        await depart(roomId);
        const keys = [
          ["m.room.member", user1.id],
          [BAR, ""],
        ];
        const expected = await currentState(user2, roomId, keys);
        await user2.session.setState(roomId, FOO, { is: "after" });
        await user2.session.setState(roomId, BAR, { is: "after" });
        await user3.leave(roomId);
        const request = fooList({ required_state: [...before, [BAR, ""]], timeline_limit: 3 });
        const answer = await user1.sync(request, { pos });
        expect(roomIn(answer, roomId).initial).toBeUndefined();
        expect(stateOf(answer, roomId)).toEqual(expected);
      }),
  },
  {
    number: 95,
    title: "A room in two lists and a subscription has all state that any of them asks for",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "unasked" });
      await user1.join(roomId);
      await user2.session.setState(roomId, FOO, { of: "a list" }, "key");
      await user2.session.setState(roomId, FOO, { of: "nobody" }, "other");
      await user2.session.setState(roomId, BAR, { of: "the subscription" }, "key");
      const config = (...state: (readonly string[])[]) => ({ required_state: state, timeline_limit: 0 });
      const request = {
        lists: {
          first: { ranges: [[0, 1]], ...config(CREATE, ["m.room.member", user1.id]) },
          second: { ranges: [[0, 1]], ...config(ALL_MEMBERS, [FOO, "key"]) },
        },
        room_subscriptions: { [roomId]: config(["m.room.member", user2.id], [BAR, "*"]) },
      };
      const members = [user1, user2].map(({ id }) => ["m.room.member", id]);
      const keys = [CREATE, [FOO, "key"], [BAR, "key"], ...members];
      expect(stateOf(await user1.sync(request), roomId)).toEqual(await currentState(user2, roomId, keys));
    },
  },
  {
    number: 97,
    title: "State that is asked for later comes alone, and once",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "a name" });
      await user1.join(roomId);
      const first = await user1.sync(wanting(CREATE));
      expect(stateKeysOf(first, roomId)).toEqual(["m.room.create"]);
      const second = await user1.sync(wanting(CREATE, NAME), { pos: first.pos });
      expect(roomIn(second, roomId).initial).toBeUndefined();
      expect(stateOf(second, roomId)).toEqual(await currentState(user2, roomId, [NAME]));
      const message = await user2.say(roomId);
      const third = await user1.sync(wanting(CREATE, NAME), { pos: second.pos });
      expect(timelineOf(third, roomId)).toEqual([message]);
      expect(roomIn(third, roomId).required_state).toBeUndefined();
    },
  },
  {
    number: 98,
    title: "State that changed while it was not asked for comes when it is asked for again",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "the old name" });
      await user1.join(roomId);
      const first = await user1.sync(wanting(CREATE, NAME));
      expect(stateKeysOf(first, roomId)).toEqual(["m.room.create", "m.room.name"]);
      await user2.say(roomId);
      const second = await user1.sync(wanting(CREATE), { pos: first.pos });
      expect(roomIn(second, roomId).required_state).toBeUndefined();
      const name = await user2.session.setState(roomId, "m.room.name", { name: "the new name" });
      const third = await user1.sync(wanting(CREATE), { pos: second.pos });
      expect(timelineOf(third, roomId)).toEqual([name]);
      expect(roomIn(third, roomId).required_state).toBeUndefined();
      const fourth = await user1.sync(wanting(CREATE, NAME), { pos: third.pos });
      expect(stateOf(fourth, roomId)).toEqual([name]);
    },
  },
  {
    number: 99,
    title: "State that did not change while it was not asked for does not come again",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "a name" });
      await user1.join(roomId);
      const first = await user1.sync(wanting(CREATE, NAME));
      expect(stateKeysOf(first, roomId)).toEqual(["m.room.create", "m.room.name"]);
      let { pos } = first;
      for (const request of [wanting(CREATE), wanting(CREATE, NAME)]) {
        const message = await user2.say(roomId);
        const answer = await user1.sync(request, { pos });
        expect(timelineOf(answer, roomId)).toEqual([message]);
        expect(roomIn(answer, roomId).required_state).toBeUndefined();
        pos = answer.pos;
      }
    },
  },
  {
    number: 101,
    title: "A request that asks for more state is answered at once, one that asks for the same waits",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "a name" });
      await user1.join(roomId);
      const first = await user1.sync(wanting(NAME));
      const waiting = await user1.waitingSync(wanting(NAME), first.pos);
      await waiting.staysHeld();
      const message = await user2.say(roomId);
      const second = await waiting.answer;
      expect(timelineOf(second, roomId)).toEqual([message]);
      const askedMs = performance.now();
      const third = await user1.sync(wanting(NAME, CREATE), { pos: second.pos, timeoutMs: LONG_POLL_MS });
      expect(performance.now() - askedMs).toBeLessThan(LONG_POLL_MS);
      expect(roomIdsIn(third)).toEqual([roomId]);
      expect(stateKeysOf(third, roomId)).toEqual(["m.room.create"]);
      expect(roomIn(third, roomId).timeline).toBeUndefined();
    },
  },
];
