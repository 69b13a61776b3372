import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { type Answer, roomIdsIn } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";

/** A request with one list for each filter, over all rooms. */
export const listsOf = (filters: Readonly<Record<string, JsonObject>>): JsonObject => ({
  lists: Object.fromEntries(
    Object.entries(filters).map(([key, filter]) => [
      key,
      { ranges: [[0, 99]], timeline_limit: 1, required_state: [], filters: filter },
    ]),
  ),
});

/** Each list of the answer counts these rooms and shows them, in any order. */
export function expectLists(answer: Answer, expected: Readonly<Record<string, readonly string[]>>): void {
  const found = Object.entries(answer.lists ?? {}).map(([key, { count, ops = [] }]) => {
    const rooms = ops.flatMap(({ room_ids: roomIds }) => roomIds).toSorted();
    return [key, { count, rooms }];
  });
  const wanted = Object.entries(expected).map(([key, rooms]) => [
    key,
    { count: rooms.length, rooms: rooms.toSorted() },
  ]);
  expect(Object.fromEntries(found)).toEqual(Object.fromEntries(wanted));
}

const ENCRYPTION = { algorithm: "m.megolm.v1.aes-sha2" };
const ENCRYPTED: JsonObject = { initial_state: [{ type: "m.room.encryption", state_key: "", content: ENCRYPTION }] };
const SPACE: JsonObject = { creation_content: { type: "m.space" } };

const ENCRYPTED_OR_NOT = listsOf({ encrypted: { is_encrypted: true }, plain: { is_encrypted: false } });

/** An encrypted room and a plain one of the first user, into which the others are invited. */
async function bothKinds(user: Person, options: JsonObject = {}): Promise<readonly [encrypted: string, plain: string]> {
  return [await user.room({ ...ENCRYPTED, ...options }), await user.room(options)];
}

/** Clients note for themselves which rooms are direct chats. */
const noteDirect = (user: Person, other: Person, rooms: readonly string[]): Promise<void> =>
  user.session.setAccountData("m.direct", { [other.id]: rooms });

/** A user with rooms that they tagged `foo`, `bar` and both, and one without a tag. */
async function tagged(world: World) {
  const user = await world.user();
  const [foo, bar, both, none] = [await user.room(), await user.room(), await user.room(), await user.room()];
  await user.tag(foo, "foo");
  await user.tag(bar, "bar");
  await user.tag(both, "foo");
  await user.tag(both, "bar");
  return { user, foo, bar, both, none };
}

/** Rooms that a client had not heard of when they were left; `kept` is the one that the user stays in. */
async function createdAndLeft(world: World) {
  const user = await world.user();
  const kept = await user.room();
  const { pos } = await user.sync(ENCRYPTED_OR_NOT);
  const [encrypted, plain] = await bothKinds(user);
  await user.leave(encrypted);
  await user.leave(plain);
  return { kept, encrypted, plain, answer: await user.sync(ENCRYPTED_OR_NOT, { pos }) };
}

export const filterRows: readonly Row[] = [
  {
    number: 26,
    title: "Lists with several filters at once hold the rooms that pass all of theirs, each list for itself",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const joinedDm = await user1.room({ is_direct: true, invite: [user2.id] });
      const invitedDm = await user2.room({ is_direct: true, invite: [user1.id] });
      await noteDirect(user1, user2, [joinedDm, invitedDm]);
      const joined = await user1.room();
      const invited = await user2.room({ invite: [user1.id] });
      const filters = {
        all: {},
        direct: { is_dm: true },
        others: { is_dm: false },
        invites: { is_dm: false, is_invite: true },
      };
      const answer = await user1.sync(listsOf(filters));
      expectLists(answer, {
        all: [joinedDm, invitedDm, joined, invited],
        direct: [joinedDm, invitedDm],
        others: [joined, invited],
        invites: [invited],
      });
      expect(roomIdsIn(answer)).toEqual([joinedDm, invitedDm, joined, invited].toSorted());
    },
  },
  {
    number: 27,
    title: "A room that the last user has just left stands once more in the lists whose filters it passed",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const kept = await user1.room();
      const space = await user1.publicRoom({ ...SPACE, ...ENCRYPTED });
      await user2.join(space);
      const request = listsOf({ all: {}, spaces: { is_encrypted: true, room_types: ["m.space"] } });
      const first = await user1.sync(request);
      expectLists(first, { all: [kept, space], spaces: [space] });
      await user2.leave(space);
      await user1.leave(space);
      const answer = await user1.sync(request, { pos: first.pos });
      expectLists(answer, { all: [kept, space], spaces: [space] });
      expect(roomIdsIn(answer)).toEqual([space]);
    },
  },
  {
    number: 28,
    title: "is_dm parts the rooms that the user's m.direct names from all others",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const dm = await user1.room({ is_direct: true, invite: [user2.id] });
      await user2.join(dm);
      await noteDirect(user1, user2, [dm]);
      const other = await user1.room();
      const answer = await user1.sync(listsOf({ direct: { is_dm: true }, others: { is_dm: false } }));
      expectLists(answer, { direct: [dm], others: [other] });
    },
  },
  {
    number: 29,
    title: "is_encrypted parts encrypted rooms from plain ones",
    run: async (world) => {
      const user = await world.user();
      const [encrypted, plain] = await bothKinds(user);
      expectLists(await user.sync(ENCRYPTED_OR_NOT), { encrypted: [encrypted], plain: [plain] });
    },
  },
  {
    number: 30,
    title: "Rooms that were made and left since the last answer are listed by the encryption that they had",
    run: async (world) => {
      const { kept, encrypted, plain, answer } = await createdAndLeft(world);
      expectLists(answer, { encrypted: [encrypted], plain: [kept, plain] });
    },
  },
  {
    number: 31,
    title: "Rooms that were just left are listed by the encryption that they had, also where an invited user remains",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const kept = await user1.room();
      const [encrypted, plain] = await bothKinds(user1, { invite: [user2.id] });
      const first = await user1.sync(ENCRYPTED_OR_NOT);
      expectLists(first, { encrypted: [encrypted], plain: [kept, plain] });
      await user1.leave(encrypted);
      await user1.leave(plain);
      const answer = await user1.sync(ENCRYPTED_OR_NOT, { pos: first.pos });
      expectLists(answer, { encrypted: [encrypted], plain: [kept, plain] });
      expect(roomIdsIn(answer)).toEqual([encrypted, plain].toSorted());
    },
  },
  {
    number: 32,
    title: "A room that is encrypted after the user left stays a plain one for them",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const [plain, encryptedLater] = [await user2.publicRoom(), await user2.publicRoom()];
      for (const roomId of [plain, encryptedLater]) await user1.join(roomId);
      const first = await user1.sync(ENCRYPTED_OR_NOT);
      const { pos } = await user2.sync(ENCRYPTED_OR_NOT);
      expectLists(first, { encrypted: [], plain: [plain, encryptedLater] });
      for (const roomId of [plain, encryptedLater]) await user1.leave(roomId);
      await user2.session.setState(encryptedLater, "m.room.encryption", ENCRYPTION);
      expectLists(await user2.sync(ENCRYPTED_OR_NOT, { pos }), { encrypted: [encryptedLater], plain: [plain] });
      const answer = await user1.sync(ENCRYPTED_OR_NOT, { pos: first.pos });
      expectLists(answer, { encrypted: [], plain: [plain, encryptedLater] });
    },
  },
  {
    number: 36,
    title: "A room that becomes encrypted moves into the list of encrypted rooms with the next answer",
    run: async (world) => {
      const user = await world.user();
      const roomId = await user.room();
      const first = await user.sync(ENCRYPTED_OR_NOT);
      expectLists(first, { encrypted: [], plain: [roomId] });
      await user.session.setState(roomId, "m.room.encryption", ENCRYPTION);
      const answer = await user.sync(ENCRYPTED_OR_NOT, { pos: first.pos });
      expectLists(answer, { encrypted: [roomId], plain: [] });
      expect(roomIdsIn(answer)).toEqual([roomId]);
    },
  },
  {
    number: 37,
    title: "is_invite parts invites from rooms that the user is in",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const joined = await user1.room();
      const invited = await user2.room({ invite: [user1.id] });
      const answer = await user1.sync(listsOf({ invites: { is_invite: true }, others: { is_invite: false } }));
      expectLists(answer, { invites: [invited], others: [joined] });
    },
  },
  {
    number: 45,
    title: "tags lets rooms with any of the tags pass, and none where no tag is named",
    run: async (world) => {
      const { user, foo, bar, both } = await tagged(world);
      const filters = {
        one: { tags: ["foo"] },
        any: { tags: ["foo", "bar"] },
        unknown: { tags: ["baz"] },
        none: { tags: [] },
      };
      const answer = await user.sync(listsOf(filters));
      expectLists(answer, { one: [foo, both], any: [foo, bar, both], unknown: [], none: [] });
    },
  },
  {
    number: 46,
    title: "not_tags keeps rooms with any of the tags out, also where tags lets them pass",
    run: async (world) => {
      const { user, foo, bar, both, none } = await tagged(world);
      const filters = {
        one: { not_tags: ["foo"] },
        any: { not_tags: ["foo", "bar"] },
        contrary: { tags: ["foo"], not_tags: ["foo"] },
        nothing: { not_tags: [] },
      };
      const answer = await user.sync(listsOf(filters));
      expectLists(answer, { one: [bar, none], any: [none], contrary: [], nothing: [foo, bar, both, none] });
    },
  },
];
