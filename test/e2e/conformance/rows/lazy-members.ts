import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { type Answer, idsOf, roomIn, stateOf, timelineOf, type WireEvent } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import { fooList } from "./core.ts";

const CREATE = ["m.room.create", ""];
const LAZY = ["m.room.member", "$LAZY"];
const ME = ["m.room.member", "$ME"];

/** A list of rooms with lazy members, and with so many events. */
const lazyList = (timelineLimit: number): JsonObject =>
  fooList({ timeline_limit: timelineLimit, required_state: [LAZY] });

/** A room of `owner` that the others have joined. */
async function roomWith(owner: Person, ...others: readonly Person[]): Promise<string> {
  const roomId = await owner.publicRoom();
  for (const other of others) await other.join(roomId);
  return roomId;
}

/** A message of each, in this order; their ids. */
async function talk(roomId: string, ...speakers: readonly Person[]): Promise<readonly string[]> {
  const ids: string[] = [];
  for (const speaker of speakers) ids.push(await speaker.say(roomId));
  return ids;
}

const member = (person: Person, roomId: string, of = person): Promise<WireEvent> =>
  person.state(roomId, "m.room.member", of.id);

/** The answer's state of the room is the present member events of these, and nothing else. */
async function expectMembers(answer: Answer, roomId: string, ...people: readonly Person[]): Promise<void> {
  const members = await Promise.all(people.map((person) => member(person, roomId)));
  expect(stateOf(answer, roomId)).toEqual(idsOf(members));
}

const expectNoState = (answer: Answer, roomId: string): void =>
  expect(roomIn(answer, roomId)).not.toHaveProperty("required_state");

async function rename(person: Person, roomId: string, displayname: string): Promise<void> {
  await person.session.setState(roomId, "m.room.member", { membership: "join", displayname }, person.id);
}

/** Ways in which the membership of `target` becomes another event. */
const MEMBERSHIP_CHANGES: Readonly<Record<string, (roomId: string, owner: Person, target: Person) => Promise<void>>> = {
  leave: (roomId, _owner, target) => target.leave(roomId),
  invite: (roomId, owner, target) => owner.invite(roomId, target),
  knock: async (roomId, _owner, target) => {
    await target.session.call("POST", `v3/knock/${encodeURIComponent(roomId)}`, {});
  },
  profile: (roomId, _owner, target) => rename(target, roomId, "A new name"),
  ban: (roomId, owner, target) => owner.ban(roomId, target),
  kick: (roomId, owner, target) => owner.kick(roomId, target),
};

export const lazyMemberRows: readonly Row[] = [
  {
    number: 82,
    title: "With lazy members the members of those come whose events are shown, and no other",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const others = await Promise.all([world.user(), world.user(), world.user()]);
      const [user3, user4, earlier] = others;
      const roomId = await roomWith(user2, user1, ...others);
      await talk(roomId, earlier, user2, user3, user4);
      const answer = await user1.sync(fooList({ timeline_limit: 3, required_state: [CREATE, LAZY] }));
      const shown = await Promise.all([user2, user3, user4].map((person) => member(person, roomId)));
      expect(stateOf(answer, roomId)).toEqual(idsOf([await user2.state(roomId, "m.room.create"), ...shown]));
    },
  },
  {
    number: 83,
    title: "A lazy member that was sent before is not sent again with later messages",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [user3, user4] = [await world.user(), await world.user()];
      const roomId = await roomWith(user2, user1, user3, user4);
      await talk(roomId, user2, user3, user2);
      const first = await user1.sync(lazyList(3));
      await expectMembers(first, roomId, user2, user3);
      await talk(roomId, user2, user4, user2);
      await expectMembers(await user1.sync(lazyList(3), { pos: first.pos }), roomId, user4);
    },
  },
  {
    number: 84,
    title: "With lazy members a change of membership brings the member whom it is about, beside a new sender",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const speaker = await world.user("speaker");
      const invite = [user1.id, speaker.id];
      const initialState = [{ type: "m.room.join_rules", state_key: "", content: { join_rule: "knock" } }];
      const tries = await Promise.all(
        Object.entries(MEMBERSHIP_CHANGES).map(async ([name, change]) => {
          const target = await world.user(name);
          const roomId = await user2.room({ invite, initial_state: initialState });
          for (const user of [user1, speaker]) await user.join(roomId);
          if (name !== "invite" && name !== "knock") {
            await user2.invite(roomId, target);
            await target.join(roomId);
          }
          await talk(roomId, user2, user2, user2);
          return { name, change, target, roomId };
        }),
      );
      const first = await user1.sync(lazyList(3));
      for (const { roomId } of tries) await expectMembers(first, roomId, user2);

      const messages = new Map<string, string>();
      for (const { change, target, roomId } of tries) {
        messages.set(roomId, await speaker.say(roomId));
        await change(roomId, user2, target);
      }
      const answer = await user1.sync(lazyList(3), { pos: first.pos });
      for (const { name, target, roomId } of tries) {
        const [spoke, changed] = [await member(user2, roomId, speaker), await member(user2, roomId, target)];
        expect([name, timelineOf(answer, roomId)]).toEqual([name, [messages.get(roomId), changed.event_id]]);
        expect([name, stateOf(answer, roomId)]).toEqual([name, idsOf([spoke, changed])]);
      }
    },
  },
  {
    number: 85,
    title: "Lazy members that are asked for later come with the events that are shown, and once",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const user3 = await world.user();
      const roomId = await roomWith(user2, user1, user3);
      await talk(roomId, user2, user3, user2);
      const before = fooList({ timeline_limit: 3, required_state: [CREATE] });
      const after = fooList({ timeline_limit: 3, required_state: [CREATE, LAZY] });
      const first = await user1.sync(before);
      expect(stateOf(first, roomId)).toEqual(idsOf([await user1.state(roomId, "m.room.create")]));

      const messages = await talk(roomId, user2, user3, user2);
      const second = await user1.sync(after, { pos: first.pos });
      expect(timelineOf(second, roomId)).toEqual(messages);
      await expectMembers(second, roomId, user2, user3);

      const later = await talk(roomId, user2, user3, user2);
      const third = await user1.sync(after, { pos: second.pos });
      expect(timelineOf(third, roomId)).toEqual(later);
      expectNoState(third, roomId);
    },
  },
  {
    number: 86,
    title: "A member that was sent as a lazy one is not sent again when it is asked for by name",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await roomWith(user2, user1);
      await talk(roomId, user2, user2, user2);
      const before = fooList({ timeline_limit: 3, required_state: [CREATE] });
      const byName = fooList({ timeline_limit: 3, required_state: [CREATE, ME, ["m.room.member", user2.id]] });
      const first = await user1.sync(before);

      await talk(roomId, user2, user2, user2);
      const lazy = fooList({ timeline_limit: 3, required_state: [CREATE, LAZY] });
      const second = await user1.sync(lazy, { pos: first.pos });
      await expectMembers(second, roomId, user2);

      const messages = await talk(roomId, user2);
      const third = await user1.sync(byName, { pos: second.pos });
      expect(timelineOf(third, roomId)).toEqual(messages);
      await expectMembers(third, roomId, user1);

      await talk(roomId, user2);
      expectNoState(await user1.sync(byName, { pos: third.pos }), roomId);
    },
  },
  {
    number: 87,
    title: "A lazy member's change that fell into a gap comes when that member speaks again",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const user3 = await world.user();
      const roomId = await roomWith(user2, user1, user3);
      await talk(roomId, user3, user2);
      const first = await user1.sync(lazyList(2));
      await expectMembers(first, roomId, user2, user3);

      await rename(user3, roomId, "A new name");
      const messages = await talk(roomId, user2, user2);
      const second = await user1.sync(lazyList(2), { pos: first.pos });
      expect(roomIn(second, roomId).limited).toBe(true);
      expect(timelineOf(second, roomId)).toEqual(messages);
      expectNoState(second, roomId);

      await talk(roomId, user3);
      const third = await user1.sync(lazyList(2), { pos: second.pos });
      await expectMembers(third, roomId, user3);
      expect(roomIn(third, roomId).required_state).toMatchObject([{ content: { displayname: "A new name" } }]);
    },
  },
  {
    number: 88,
    title: "A lazy member that was sent in one room is sent in another all the same",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [here, there] = [await roomWith(user2, user1), await roomWith(user2, user1)];
      await talk(here, user2);
      await talk(there, user1);
      const first = await user1.sync(lazyList(1));
      await expectMembers(first, here, user2);
      await expectMembers(first, there, user1);

      await talk(here, user2);
      await talk(there, user2);
      const second = await user1.sync(lazyList(1), { pos: first.pos });
      expectNoState(second, here);
      await expectMembers(second, there, user2);
    },
  },
  {
    number: 89,
    title: "A lazy member that was sent on one connection is sent on another all the same",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await roomWith(user2, user1);
      const [one, two] = [
        { ...lazyList(1), conn_id: "one" },
        { ...lazyList(1), conn_id: "two" },
      ];
      await talk(roomId, user1);
      const firstOne = await user1.sync(one);
      const firstTwo = await user1.sync(two);
      for (const first of [firstOne, firstTwo]) await expectMembers(first, roomId, user1);

      await talk(roomId, user2);
      const secondOne = await user1.sync(one, { pos: firstOne.pos });
      await expectMembers(secondOne, roomId, user2);
      await talk(roomId, user2);
      await expectMembers(await user1.sync(two, { pos: firstTwo.pos }), roomId, user2);
      expectNoState(await user1.sync(one, { pos: secondOne.pos }), roomId);
    },
  },
  {
    number: 90,
    title: "A lazy member comes again in another answer to the same position",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await roomWith(user2, user1);
      await talk(roomId, user1);
      const { pos } = await user1.sync(lazyList(1));
      await talk(roomId, user2);
      await expectMembers(await user1.sync(lazyList(1), { pos }), roomId, user2);
      await expectMembers(await user1.sync(lazyList(1), { pos }), roomId, user2);
    },
  },
  {
    number: 91,
    title: "A member that was sent by name is not sent again when it speaks and lazy members are asked for instead",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const roomId = await roomWith(user2, user1);
      await talk(roomId, user1);
      const first = await user1.sync(fooList({ required_state: [ME] }));
      await expectMembers(first, roomId, user1);

      const messages = await talk(roomId, user1);
      const second = await user1.sync(lazyList(1), { pos: first.pos });
      expect(timelineOf(second, roomId)).toEqual(messages);
      expectNoState(second, roomId);

      await talk(roomId, user2);
      await expectMembers(await user1.sync(lazyList(1), { pos: second.pos }), roomId, user2);
    },
  },
];
