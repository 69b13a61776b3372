import { expect } from "@jest/globals";
import { metaOf, roomIn } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";
import { fooList } from "./core.ts";

/** How an answer names somebody who never gave themselves another name. */
const heroOf = ({ id }: Person) => ({ user_id: id, displayname: id.slice(1, id.indexOf(":")) });

/** A room without a name of two users, the first of whom knows it, and a third who is invited. */
async function withInvited(world: World) {
  const [user1, user2] = await world.pair();
  const user3 = await world.user("user3");
  const roomId = await user2.publicRoom();
  await user1.join(roomId);
  await user2.invite(roomId, user3);
  const { pos } = await user1.sync(fooList());
  return { user1, user2, user3, roomId, pos };
}

export const heroRows: readonly Row[] = [
  {
    number: 62,
    title: "A room without a name has the other members as heroes, invited ones too; a room with a name has none",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const user3 = await world.user("user3");
      const named = await user2.publicRoom({ name: "the name" });
      const unnamed = await user2.publicRoom();
      for (const roomId of [named, unnamed]) {
        await user1.join(roomId);
        await user2.invite(roomId, user3);
      }
      const answer = await user1.sync(fooList());
      const both = { initial: true, joined_count: 2, invited_count: 1 };
      expect(metaOf(answer, named)).toEqual({ ...both, name: "the name" });
      expect(metaOf(answer, unnamed)).toEqual({ ...both, heroes: [heroOf(user2), heroOf(user3)] });
      expect(roomIn(answer, unnamed)).not.toHaveProperty("required_state");
    },
  },
  {
    number: 63,
    title: "Of many members the first five that joined are the heroes, the user not among them",
    run: async (world) => {
      const [user1, ...others] = await Promise.all(
        ["user1", "a", "b", "c", "d", "e", "f"].map((name) => world.user(name)),
      );
      const [creator, ...joining] = others;
      if (user1 === undefined || creator === undefined) throw new Error("there are no users");
      const roomId = await creator.publicRoom();
      for (const person of [user1, ...joining]) await person.join(roomId);
      const answer = await user1.sync(fooList());
      const heroes = others.slice(0, 5).map(heroOf);
      expect(metaOf(answer, roomId)).toEqual({ initial: true, heroes, joined_count: 7, invited_count: 0 });
      expect(roomIn(answer, roomId)).not.toHaveProperty("required_state");
    },
  },
  {
    number: 64,
    title: "An empty name counts as none: there are heroes at first, and no more of them with a message",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom({ name: "the name" });
      await user1.join(roomId);
      await user2.session.setState(roomId, "m.room.name", { name: "" });
      const first = await user1.sync(fooList());
      const meta = { initial: true, heroes: [heroOf(user2)], joined_count: 2, invited_count: 0 };
      expect(metaOf(first, roomId)).toEqual(meta);
      await user2.say(roomId);
      expect(metaOf(await user1.sync(fooList(), { pos: first.pos }), roomId)).toEqual({});
    },
  },
  {
    number: 65,
    title: "Who was banned from a room without a name is told neither name nor heroes nor counts",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const user3 = await world.user("user3");
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      await user2.ban(roomId, user1);
      await user3.join(roomId);
      expect(metaOf(await user1.sync(fooList()), roomId)).toEqual({ initial: true });
    },
  },
  {
    number: 66,
    title: "A message in a room without a name brings no heroes and no counts",
    run: async (world) => {
      const { user1, user2, roomId, pos } = await withInvited(world);
      await user2.say(roomId);
      expect(metaOf(await user1.sync(fooList(), { pos }), roomId)).toEqual({});
    },
  },
  {
    number: 67,
    title: "A change of members of a room without a name brings its heroes and its counts, and nothing else of it",
    run: async (world) => {
      const { user1, user2, user3, roomId, pos } = await withInvited(world);
      await user3.join(roomId);
      const answer = await user1.sync(fooList(), { pos });
      const heroes = [heroOf(user2), heroOf(user3)];
      expect(metaOf(answer, roomId)).toEqual({ heroes, joined_count: 3, invited_count: 0 });
      expect(roomIn(answer, roomId)).not.toHaveProperty("required_state");
    },
  },
];
