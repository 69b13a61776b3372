import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { roomIdsIn } from "../answer.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import { expectLists, listsOf } from "./filters.ts";

const CUSTOM_TYPE = "org.example.special";

const ofType = (type: string): JsonObject => ({ creation_content: { type } });

/** A room without a type, a space, and a room of a type of its own. */
async function ofEachType(user: Person, options: JsonObject = {}) {
  return {
    normal: await user.room(options),
    space: await user.room({ ...ofType("m.space"), ...options }),
    custom: await user.room({ ...ofType(CUSTOM_TYPE), ...options }),
  };
}

const BY_TYPE = listsOf({ normal: { room_types: [null] }, spaces: { room_types: ["m.space"] } });

export const roomTypeFilterRows: readonly Row[] = [
  {
    number: 38,
    title: "room_types lets rooms of the types that are named pass, null standing for rooms without one",
    run: async (world) => {
      const user = await world.user();
      const { normal, space, custom } = await ofEachType(user);
      const filters = {
        normal: { room_types: [null] },
        spaces: { room_types: ["m.space"] },
        both: { room_types: [null, "m.space"] },
        custom: { room_types: [CUSTOM_TYPE] },
        none: { room_types: [] },
      };
      const answer = await user.sync(listsOf(filters));
      expectLists(answer, { normal: [normal], spaces: [space], both: [normal, space], custom: [custom], none: [] });
    },
  },
  {
    number: 39,
    title: "not_room_types keeps rooms of the types that are named out, also where room_types lets them pass",
    run: async (world) => {
      const user = await world.user();
      const { normal, space, custom } = await ofEachType(user);
      const filters = {
        typed: { not_room_types: [null] },
        rooms: { not_room_types: ["m.space"] },
        others: { not_room_types: [null, "m.space"] },
        contrary: { room_types: [null], not_room_types: [null] },
        remaining: { room_types: [null, "m.space"], not_room_types: ["m.space"] },
        nothing: { not_room_types: [] },
      };
      const answer = await user.sync(listsOf(filters));
      expectLists(answer, {
        typed: [space, custom],
        rooms: [normal, custom],
        others: [custom],
        contrary: [],
        remaining: [normal],
        nothing: [normal, space, custom],
      });
    },
  },
  {
    number: 40,
    title: "Rooms that everybody has just left are listed by their type",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const { normal, space } = await ofEachType(user1, { preset: "public_chat" });
      for (const roomId of [normal, space]) await user2.join(roomId);
      const { pos } = await user1.sync(BY_TYPE);
      for (const roomId of [normal, space]) {
        await user2.leave(roomId);
        await user1.leave(roomId);
      }
      const answer = await user1.sync(BY_TYPE, { pos });
      expectLists(answer, { normal: [normal], spaces: [space] });
      expect(roomIdsIn(answer)).toEqual([normal, space].toSorted());
    },
  },
  {
    number: 41,
    title: "Rooms that were just left are listed by their type, also where an invited user remains",
    run: async (world) => {
      const [user1, user2] = await world.pair();
      const { normal, space } = await ofEachType(user1, { invite: [user2.id] });
      const { pos } = await user1.sync(BY_TYPE);
      for (const roomId of [normal, space]) await user1.leave(roomId);
      const answer = await user1.sync(BY_TYPE, { pos });
      expectLists(answer, { normal: [normal], spaces: [space] });
      expect(roomIdsIn(answer)).toEqual([normal, space].toSorted());
    },
  },
];
