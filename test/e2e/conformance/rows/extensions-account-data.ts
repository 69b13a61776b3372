import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { roomIdsIn } from "../answer.ts";
import { accountDataIn, subscribedTo, TOP_ROOM, withExtension } from "../extensions.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";

const ACCOUNT_DATA = withExtension("account_data");
const FIRST = "org.example.first";
const SECOND = "org.example.second";
const TAG = "m.tag";

const tags = (...names: readonly string[]) => ({ tags: Object.fromEntries(names.map((name) => [name, {}])) });

/** Two rooms of a user, each with account data and a tag. */
async function twoRooms(user: Person): Promise<readonly [room1: string, room2: string]> {
  const rooms = [await user.room(), await user.room()] as const;
  for (const [index, roomId] of rooms.entries()) {
    await user.session.setAccountData(FIRST, { room: index + 1 }, roomId);
    await user.tag(roomId, "one");
  }
  return rooms;
}

type TagChange = "added" | "removed";
const TAG_CHANGES: readonly TagChange[] = ["added", "removed"];

/** New account data of a room, and a second tag or none. */
async function change(user: Person, roomId: string, tag: TagChange): Promise<void> {
  await user.session.setAccountData(SECOND, { is: "new" }, roomId);
  if (tag === "added") await user.tag(roomId, "two");
  else await user.untag(roomId, "one");
}

/** What there is to tell of a {@link change}. */
const CHANGED: Readonly<Record<TagChange, JsonObject>> = {
  added: { [SECOND]: { is: "new" }, [TAG]: tags("one", "two") },
  removed: { [SECOND]: { is: "new" }, [TAG]: tags() },
};

async function tellsChangesOfKnownRooms(world: World, tag: TagChange): Promise<void> {
  const user = await world.user();
  const [room1, room2] = await twoRooms(user);
  const request = withExtension("account_data", { rooms: [room1, room2] }, subscribedTo([room1]));
  const { pos } = await user.sync(request);
  await change(user, room1, tag);
  await change(user, room2, tag);
  const answer = await user.sync(request, { pos });
  expect(accountDataIn(answer)).toEqual({ global: {}, rooms: { [room1]: CHANGED[tag] } });
}

const TOP = withExtension("account_data", {}, TOP_ROOM);

async function tellsAllOfNewRooms(world: World, tag: TagChange): Promise<void> {
  const user = await world.user();
  const [room1, room2] = await twoRooms(user);
  await user.say(room1);
  const first = await user.sync(TOP);
  expect(Object.keys(accountDataIn(first).rooms)).toEqual([room1]);
  await change(user, room2, tag);
  await user.say(room2);
  const next = await user.sync(TOP, { pos: first.pos });
  expect(roomIdsIn(next)).toEqual([room2]);
  const data = { [FIRST]: { room: 2 }, [SECOND]: { is: "new" }, ...(tag === "added" && { [TAG]: tags("one", "two") }) };
  expect(accountDataIn(next)).toEqual({ global: {}, rooms: { [room2]: data } });
}

async function tellsWhatWasMissed(world: World, tag: TagChange): Promise<void> {
  const user = await world.user();
  const [room1, room2] = await twoRooms(user);
  const first = await user.sync(TOP);
  expect(accountDataIn(first).rooms).toEqual({ [room2]: { [FIRST]: { room: 2 }, [TAG]: tags("one") } });
  await user.say(room1);
  await change(user, room2, tag);
  const outside = await user.sync(TOP, { pos: first.pos });
  expect(Object.keys(accountDataIn(outside).rooms)).toEqual([room1]);
  await user.say(room2);
  const back = await user.sync(TOP, { pos: outside.pos });
  expect(roomIdsIn(back)).toEqual([room2]);
  expect(accountDataIn(back)).toEqual({ global: {}, rooms: { [room2]: CHANGED[tag] } });
}

const triedFor =
  (tryWith: (world: World, tag: TagChange) => Promise<void>): Row["run"] =>
  async (world) => {
    for (const tag of TAG_CHANGES) await tryWith(world, tag);
  };

export const accountDataRows: readonly Row[] = [
  {
    number: 111,
    title: "The account data of a new user are the push rules alone",
    run: async (world) => {
      const user = await world.user();
      const pushRules = await user.session.call("GET", "v3/pushrules/");
      expect(accountDataIn(await user.sync(ACCOUNT_DATA))).toEqual({
        global: { "m.push_rules": pushRules },
        rooms: {},
      });
    },
  },
  {
    number: 112,
    title: "Where no account data changed both of its parts are there, and empty",
    run: async (world) => {
      const user = await world.user();
      const { pos } = await user.sync(ACCOUNT_DATA);
      expect(accountDataIn(await user.sync(ACCOUNT_DATA, { pos }))).toEqual({ global: {}, rooms: {} });
    },
  },
  {
    number: 113,
    title: "A new connection has all account data of the user",
    run: async (world) => {
      const user = await world.user();
      await user.session.setAccountData(FIRST, { number: 1 });
      await user.session.setAccountData(SECOND, { number: 2 });
      const { global } = accountDataIn(await user.sync(ACCOUNT_DATA));
      expect(global).toEqual({
        "m.push_rules": expect.anything(),
        [FIRST]: { number: 1 },
        [SECOND]: { number: 2 },
      });
    },
  },
  {
    number: 114,
    title: "Of the user's account data only what changed comes later",
    run: async (world) => {
      const user = await world.user();
      await user.session.setAccountData(FIRST, { number: 1 });
      const { pos } = await user.sync(ACCOUNT_DATA);
      await user.session.setAccountData(SECOND, { number: 2 });
      expect(accountDataIn(await user.sync(ACCOUNT_DATA, { pos }))).toEqual({
        global: { [SECOND]: { number: 2 } },
        rooms: {},
      });
    },
  },
  {
    number: 115,
    title: "A room that is subscribed to comes with all its account data, tags too, and no other room does",
    run: async (world) => {
      const user = await world.user();
      const [room1, room2] = await twoRooms(user);
      const request = withExtension("account_data", { rooms: [room1, room2] }, subscribedTo([room1]));
      const { rooms } = accountDataIn(await user.sync(request));
      expect(rooms).toEqual({ [room1]: { [FIRST]: { room: 1 }, [TAG]: tags("one") } });
    },
  },
  {
    number: 116,
    title: "Of the account data of a known room what changed comes later, of tags all or, at last, none",
    run: triedFor(tellsChangesOfKnownRooms),
  },
  {
    number: 117,
    title: "A room that was never in the window brings all its account data, and no tags where it has none",
    run: triedFor(tellsAllOfNewRooms),
  },
  {
    number: 118,
    title: "A room that comes back into the window brings the account data that changed meanwhile, and no other",
    run: triedFor(tellsWhatWasMissed),
  },
  {
    number: 119,
    title: "A request that waits is answered by account data, with nothing else in it",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      await user1.join(await user2.publicRoom());
      const { pos } = await user1.sync(ACCOUNT_DATA);
      const waiting = await user1.waitingSync(ACCOUNT_DATA, pos);
      await waiting.staysHeld();
      await user1.session.setAccountData(FIRST, { number: 1 });
      expect(accountDataIn(await waiting.answer)).toEqual({ global: { [FIRST]: { number: 1 } }, rooms: {} });
    },
  },
  {
    number: 120,
    title: "A request that waits for account data is not answered by a to-device message",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const { pos } = await user1.sync(ACCOUNT_DATA);
      const waiting = await user1.waitingSync(ACCOUNT_DATA, pos);
      await user2.sendToDevice(user1, "org.example.unasked", {});
      await waiting.staysHeld();
      await user1.session.setAccountData(FIRST, { number: 1 });
      expect(accountDataIn(await waiting.answer)).toEqual({ global: { [FIRST]: { number: 1 } }, rooms: {} });
    },
  },
];
