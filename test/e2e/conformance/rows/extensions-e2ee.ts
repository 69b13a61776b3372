import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { sectionOf, withExtension } from "../extensions.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";

const E2EE = withExtension("e2ee");

/** Clients upload no keys of a kind that they are not told to be out of. */
const NO_KEYS = { device_one_time_keys_count: { signed_curve25519: 0 }, device_unused_fallback_key_types: [] };
const NO_CHANGES = { changed: [], left: [] };

const signed = (key: string): JsonObject => ({ key, signatures: { "@user:hs1": { "ed25519:DEVICE": "signature" } } });

/** user1 and the others in a room of somebody else. */
async function room(world: World, user1: Person, ...others: readonly Person[]) {
  const owner = await world.user("owner");
  const roomId = await owner.publicRoom();
  for (const person of [user1, ...others]) await person.join(roomId);
  return { owner, roomId };
}

/** A new device name of one, and another who leaves the only room that they share with the user. */
async function listsAfterChanges(world: World) {
  const user1 = await world.user("user1");
  const user3 = await world.user("user3");
  const user4 = await world.user("user4");
  const { owner, roomId } = await room(world, user1, user3, user4);
  const { pos } = await user1.sync(E2EE);
  await user3.renameDevice("New name");
  await user4.leave(roomId);
  const { device_lists: lists } = sectionOf(await user1.sync(E2EE, { pos }), "e2ee");
  return { lists, owner, changed: user3, left: user4 };
}

/** What a waiting request is not answered by, and comes with the answer to another's new device name. */
async function isToldWithTheNext(world: World, keys: JsonObject, told: JsonObject): Promise<void> {
  const user1 = await world.user("user1");
  const user3 = await world.user("user3");
  await room(world, user1, user3);
  const { pos } = await user1.sync(E2EE);
  const waiting = await user1.waitingSync(E2EE, pos);
  await user1.uploadKeys(keys);
  await waiting.staysHeld();
  await user3.renameDevice("New name");
  const lists = { changed: [user3.id], left: [] };
  expect(sectionOf(await waiting.answer, "e2ee")).toEqual({ device_lists: lists, ...NO_KEYS, ...told });
}

export const e2eeRows: readonly Row[] = [
  {
    number: 121,
    title: "A device without keys is told that it has none, and a new connection of no device lists",
    run: async (world) => {
      const user = await world.user();
      expect(sectionOf(await user.sync(E2EE), "e2ee")).toEqual(NO_KEYS);
    },
  },
  {
    number: 122,
    title: "Where nothing changed the device lists are there, and empty, beside the keys that the device has",
    run: async (world) => {
      const user = await world.user();
      const { pos } = await user.sync(E2EE);
      expect(sectionOf(await user.sync(E2EE, { pos }), "e2ee")).toEqual({ device_lists: NO_CHANGES, ...NO_KEYS });
    },
  },
  {
    number: 123,
    title: "A request that waits is answered by a change of the devices of a user in the same room",
    run: async (world) => {
      const user1 = await world.user("user1");
      const user3 = await world.user("user3");
      await room(world, user1, user3);
      const { pos } = await user1.sync(E2EE);
      const waiting = await user1.waitingSync(E2EE, pos);
      await waiting.staysHeld();
      await user3.renameDevice("New name");
      const { device_lists: lists } = sectionOf(await waiting.answer, "e2ee");
      expect(lists).toEqual({ changed: [user3.id], left: [] });
    },
  },
  {
    number: 124,
    title:
      "A request that waits for changes of devices is answered neither by account data nor by keys that are as they were",
    run: async (world) => {
      const user1 = await world.user("user1");
      const user3 = await world.user("user3");
      await room(world, user1, user3);
      const { pos } = await user1.sync(E2EE);
      const waiting = await user1.waitingSync(E2EE, pos);
      await user1.session.setAccountData("org.example.unasked", { for: "nobody" });
      await waiting.staysHeld();
      await user3.renameDevice("New name");
      const { device_lists: lists, ...keys } = sectionOf(await waiting.answer, "e2ee");
      expect(lists).toEqual({ changed: [user3.id], left: [] });
      expect(keys).toEqual(NO_KEYS);
    },
  },
  {
    number: 125,
    title:
      "A request that waits is not answered by new one-time keys, which are counted with the next change of devices",
    run: async (world) => {
      const keys = { "alg1:k1": "key1", "alg2:k2": signed("key2") };
      const count = { alg1: 1, alg2: 1, signed_curve25519: 0 };
      await isToldWithTheNext(world, { one_time_keys: keys }, { device_one_time_keys_count: count });
    },
  },
  {
    number: 126,
    title: "A request that waits is not answered by a fallback key, of which the next change of devices tells",
    run: async (world) => {
      const keys = { "alg1:k1": "key1" };
      await isToldWithTheNext(world, { fallback_keys: keys }, { device_unused_fallback_key_types: ["alg1"] });
    },
  },
  {
    number: 127,
    title: "Users whose devices changed are told, and who no longer shares a room with the user",
    run: async (world) => {
      const { lists, changed, left } = await listsAfterChanges(world);
      expect(lists).toEqual({ changed: [changed.id], left: [left.id] });
    },
    differs: {
      reason:
        "v2 /sync names as changed also whose member event it sends along, as of a room's heroes (docs/limits.md, no. 33). A client " +
        "asks for their devices once more; nobody is missing (client rule 34).",
      run: async (world) => {
        const { lists, changed, left, owner } = await listsAfterChanges(world);
        expect(lists).toEqual({ changed: expect.arrayContaining([changed.id]), left: [left.id] });
        expect([changed.id, owner.id]).toEqual(expect.arrayContaining([...(lists?.changed ?? [])]));
      },
    },
  },
  {
    number: 128,
    title:
      "A new connection is told how many one-time keys the device has, of each kind and of the one that clients use",
    run: async (world) => {
      const user = await world.user();
      await user.uploadKeys({
        one_time_keys: { "alg1:k1": "key1", "alg2:k2": signed("key2"), "alg2:k3": signed("key3") },
      });
      const { device_one_time_keys_count: count } = sectionOf(await user.sync(E2EE), "e2ee");
      expect(count).toEqual({ alg1: 1, alg2: 2, signed_curve25519: 0 });
    },
  },
  {
    number: 129,
    title: "A new connection is told of which kinds the device has an unused fallback key",
    run: async (world) => {
      const user = await world.user();
      await user.uploadKeys({ fallback_keys: { "alg1:k1": "key1" } });
      const { device_unused_fallback_key_types: types } = sectionOf(await user.sync(E2EE), "e2ee");
      expect(types).toEqual(["alg1"]);
    },
  },
];
