import { expect } from "@jest/globals";
import { type Answer, metaOf, roomIn, stateOf, timelineOf } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";
import { fooList } from "./core.ts";

const bumpStampOf = (answer: Answer, roomId: string): number => {
  const { bump_stamp: stamp } = roomIn(answer, roomId);
  if (stamp === undefined) throw new Error(`${roomId} has no bump stamp`);
  return stamp;
};

const avatarOf = (which: string) => ({ url: `mxc://hs1/${which}` });

const setNameAndAvatar = async (person: Person, roomId: string, which: string): Promise<readonly string[]> => [
  await person.session.setState(roomId, "m.room.name", { name: `the ${which} name` }),
  await person.session.setState(roomId, "m.room.avatar", avatarOf(which)),
];

const nameAndAvatar = (which: string) => ({ name: `the ${which} name`, avatar: avatarOf(which).url });

/** A room with a name and an avatar that user2 made and user1 is in. */
async function decoratedRoom(world: World) {
  const [user1, user2] = await world.pair();
  const roomId = await user2.publicRoom();
  await setNameAndAvatar(user2, roomId, "first");
  await user1.join(roomId);
  return { user1, user2, roomId };
}

/** The same, to which user1 is invited and which then changed both. */
async function decoratedInvite(world: World) {
  const [user1, user2] = await world.pair();
  const roomId = await user2.publicRoom();
  await setNameAndAvatar(user2, roomId, "first");
  await user2.invite(roomId, user1);
  await setNameAndAvatar(user2, roomId, "second");
  return { user1, roomId };
}

export const metaRows: readonly Row[] = [
  {
    number: 57,
    title: "A joined room comes with its name, its avatar and its counts",
    run: async (world) => {
      const { user1, roomId } = await decoratedRoom(world);
      const meta = { initial: true, ...nameAndAvatar("first"), joined_count: 2, invited_count: 0 };
      expect(metaOf(await user1.sync(fooList()), roomId)).toEqual(meta);
    },
  },
  {
    number: 58,
    title: "A message brings nothing of name, avatar and counts, which the client knows",
    run: async (world) => {
      const { user1, user2, roomId } = await decoratedRoom(world);
      const { pos } = await user1.sync(fooList());
      const message = await user2.say(roomId);
      const answer = await user1.sync(fooList(), { pos });
      expect(timelineOf(answer, roomId)).toEqual([message]);
      expect(metaOf(answer, roomId)).toEqual({});
    },
  },
  {
    number: 59,
    title: "A new name and a new avatar come without the counts, whether or not their events are asked for",
    run: async (world) => {
      for (const required of [[], ["m.room.name", "m.room.avatar"].map((type) => [type, ""])]) {
        const { user1, user2, roomId } = await decoratedRoom(world);
        const request = fooList({ timeline_limit: 2, required_state: required });
        const { pos } = await user1.sync(request);
        const events = await setNameAndAvatar(user2, roomId, "second");
        const answer = await user1.sync(request, { pos });
        expect(metaOf(answer, roomId)).toEqual(nameAndAvatar("second"));
        expect(stateOf(answer, roomId)).toEqual(required.length === 0 ? [] : events.toSorted());
      }
    },
  },
  {
    number: 60,
    title: "An invited user is told the room's present name and avatar, and no counts",
    run: async (world) => {
      const { user1, roomId } = await decoratedInvite(world);
      expect(metaOf(await user1.sync(fooList()), roomId)).toEqual({ initial: true, ...nameAndAvatar("second") });
    },
    differs: {
      reason:
        "v2 shows who is invited the stripped state alone, in which name and avatar are those of the invite, and which clients name " +
        "the room by (client rule 9). MSC4186 calls Synapse's showing of present ones inadvertent.",
      run: async (world) => {
        const { user1, roomId } = await decoratedInvite(world);
        const answer = await user1.sync(fooList());
        expect(metaOf(answer, roomId)).toEqual({ initial: true });
        const stripped = (roomIn(answer, roomId).invite_state ?? []).map(({ type, content }) => [type, content]);
        const { name, avatar } = nameAndAvatar("first");
        expect(stripped).toContainEqual(["m.room.name", { name }]);
        expect(stripped).toContainEqual(["m.room.avatar", { url: avatar }]);
      },
    },
  },
  {
    number: 61,
    title: "Who was banned is told the name and the avatar of that time, and no counts",
    run: async (world) => {
      const { user1, user2, roomId } = await decoratedRoom(world);
      await user2.ban(roomId, user1);
      await setNameAndAvatar(user2, roomId, "second");
      expect(metaOf(await user1.sync(fooList()), roomId)).toEqual({ initial: true, ...nameAndAvatar("first") });
    },
  },
  {
    number: 68,
    title: "The bump stamp orders rooms by their last message, and a reaction does not move it",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const older = await user2.publicRoom();
      await user1.join(older);
      const newer = await user2.publicRoom();
      await user1.join(newer);
      const first = await user1.sync(fooList());
      expect(bumpStampOf(first, older)).toBeLessThan(bumpStampOf(first, newer));
      const message = await user2.say(older);
      const second = await user1.sync(fooList());
      expect(bumpStampOf(second, older)).toBeGreaterThan(bumpStampOf(second, newer));
      const relation = { rel_type: "m.annotation", event_id: message, key: "👍" };
      await user2.session.send(older, "m.reaction", { "m.relates_to": relation });
      await user2.say(newer);
      await user2.session.send(older, "m.reaction", { "m.relates_to": { ...relation, key: "👎" } });
      const third = await user1.sync(fooList());
      expect(bumpStampOf(third, older)).toBe(bumpStampOf(second, older));
      expect(bumpStampOf(third, newer)).toBeGreaterThan(bumpStampOf(third, older));
    },
  },
  {
    number: 70,
    title: "An event that does not bump its room brings no bump stamp",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const { pos } = await user1.sync(fooList());
      const event = await user2.session.send(roomId, "org.example.something", { for: "somebody" });
      const answer = await user1.sync(fooList(), { pos });
      expect(timelineOf(answer, roomId)).toEqual([event]);
      expect(roomIn(answer, roomId)).not.toHaveProperty("bump_stamp");
    },
  },
  {
    number: 71,
    title: "A message that bumps its room brings a larger bump stamp, though newer events push it out of the timeline",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await user2.publicRoom();
      await user1.join(roomId);
      const request = fooList({ timeline_limit: 2 });
      const first = await user1.sync(request);
      await user2.say(roomId);
      const events: string[] = [];
      while (events.length < 5)
        events.push(await user2.session.send(roomId, "org.example.something", { no: events.length }));
      const second = await user1.sync(request, { pos: first.pos });
      expect(timelineOf(second, roomId)).toEqual(events.slice(-2));
      expect(bumpStampOf(second, roomId)).toBeGreaterThan(bumpStampOf(first, roomId));
    },
  },
  {
    number: 72,
    title: "The bump stamp of an invite is that of the invite, whatever is said in the room later",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const older = await user1.room();
      const invitedTo = await user2.room();
      await user2.invite(invitedTo, user1);
      const newer = await user1.room();
      await user2.say(invitedTo);
      const first = await user1.sync(fooList());
      expect(bumpStampOf(first, invitedTo)).toBeGreaterThan(bumpStampOf(first, older));
      expect(bumpStampOf(first, invitedTo)).toBeLessThan(bumpStampOf(first, newer));
      await user2.say(invitedTo);
      const second = await user1.sync(fooList());
      expect(bumpStampOf(second, invitedTo)).toBe(bumpStampOf(first, invitedTo));
    },
  },
  {
    number: 73,
    title: "A direct chat is marked as one, be it joined or an invite, and no other room is",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const room = await user1.room();
      const invitedTo = await user2.room();
      await user2.invite(invitedTo, user1);
      const direct = await user1.room({ is_direct: true });
      await user1.invite(direct, user2);
      await user2.join(direct);
      const invitedToDirect = await user2.room({ is_direct: true, invite: [user1.id] });
      await user1.session.setAccountData("m.direct", { [user2.id]: [direct, invitedToDirect] });
      const answer = await user1.sync(fooList());
      for (const roomId of [direct, invitedToDirect]) expect(roomIn(answer, roomId).is_dm).toBe(true);
      for (const roomId of [room, invitedTo]) expect(roomIn(answer, roomId)).not.toHaveProperty("is_dm");
    },
  },
];
