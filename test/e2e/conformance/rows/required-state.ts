import { expect } from "@jest/globals";
import { idsOf, roomIn, stateOf, timelineOf } from "../answer.ts";
import type { Row } from "../row.ts";
import { fooList } from "./core.ts";

export const requiredStateRows: readonly Row[] = [
  {
    number: 75,
    title: "A room of which no state is asked for comes without required_state",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "A name" });
      await user1.join(roomId);
      const answer = await user1.sync(fooList({ required_state: [] }));
      expect(roomIn(answer, roomId).initial).toBe(true);
      expect(roomIn(answer, roomId)).not.toHaveProperty("required_state");
    },
  },
  {
    number: 76,
    title: "Of the state that is asked for by type and key, what the room has comes, and nothing else",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "A name" });
      await user1.join(roomId);
      const asked = ["m.room.create", "m.room.history_visibility", "m.room.tombstone"];
      const answer = await user1.sync(fooList({ required_state: asked.map((type) => [type, ""]) }));
      const expected = [
        await user1.state(roomId, "m.room.create"),
        await user1.state(roomId, "m.room.history_visibility"),
      ];
      expect(stateOf(answer, roomId)).toEqual(idsOf(expected));
      expect(roomIn(answer, roomId)).not.toHaveProperty("invite_state");
    },
  },
  {
    number: 77,
    title: "A message brings no state again",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const request = fooList({
        required_state: [
          ["m.room.create", ""],
          ["m.room.history_visibility", ""],
        ],
      });
      const { pos } = await user1.sync(request);
      const message = await user2.say(roomId);
      const answer = await user1.sync(request, { pos });
      expect(timelineOf(answer, roomId)).toEqual([message]);
      expect(roomIn(answer, roomId)).not.toHaveProperty("required_state");
    },
  },
  {
    number: 79,
    title: "With a wildcard for type and key all current state comes, members too",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "A name", topic: "A topic" });
      await user1.join(roomId);
      await user2.session.setState(roomId, "org.example.state", { number: 1 }, "one");
      await user2.session.setState(roomId, "org.example.state", { number: 2 }, "two");
      await user2.session.setState(roomId, "m.room.name", { name: "A newer name" });
      const answer = await user1.sync(fooList({ required_state: [["*", "*"]] }));
      expect(stateOf(answer, roomId)).toEqual(idsOf(await user1.allState(roomId)));
    },
  },
  {
    number: 80,
    title: "With a wildcard for the type the state of all types under the key comes",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const types = ["org.example.one", "org.example.two"];
      for (const type of types) await user2.session.setState(roomId, type, {}, user2.id);
      const answer = await user1.sync(fooList({ required_state: [["*", user2.id]] }));
      const all = await user1.allState(roomId);
      const expected = all.filter(({ state_key: key }) => key === user2.id);
      expect(expected.map(({ type }) => type).toSorted()).toEqual(["m.room.member", ...types]);
      // Synapse says more than that.
      expect(stateOf(answer, roomId)).toEqual(expect.arrayContaining([...idsOf(expected)]));
    },
  },
  {
    number: 81,
    title: "With a wildcard for the key of members exactly all members come, whatever their membership",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [invited, gone] = [await world.user("invited"), await world.user("gone")];
      const roomId = await user2.publicRoom({ invite: [invited.id] });
      for (const user of [user1, gone]) await user.join(roomId);
      await gone.leave(roomId);
      const answer = await user1.sync(fooList({ required_state: [["m.room.member", "*"]] }));
      const all = await user1.allState(roomId);
      const members = all.filter(({ type }) => type === "m.room.member");
      expect(members).toHaveLength(4);
      expect(stateOf(answer, roomId)).toEqual(idsOf(members));
    },
  },
];
