import { expect } from "@jest/globals";
import type { JsonObject } from "../../../support/room-life/api.ts";
import { sectionOf, subscribedTo, withExtension } from "../extensions.ts";
import type { Person } from "../person.ts";
import type { Row } from "../row.ts";
import type { World } from "../world.ts";

type RoomExtension = "account_data" | "receipts" | "typing";

/** What there is to tell of each room. */
const FILL: Readonly<Record<RoomExtension, (user: Person, roomId: string) => Promise<void>>> = {
  account_data: (user, roomId) => user.session.setAccountData("org.example.data", { is: "there" }, roomId),
  receipts: async (user, roomId) => await user.read(roomId, await user.say(roomId)),
  typing: (user, roomId) => user.type(roomId),
};

const newest = (count: number): JsonObject => ({ ranges: [[0, count - 1]], timeline_limit: 0, required_state: [] });

/** Tells of the rooms among five, the newest last, of which an extension tells. */
async function tellsOfRelevantRooms(world: World, extension: RoomExtension): Promise<void> {
  const user = await world.user();
  const rooms: string[] = [];
  while (rooms.length < 5) rooms.push(await user.room());
  for (const roomId of rooms) await FILL[extension](user, roomId);
  const [room1 = "", room2 = "", , , room5 = ""] = rooms;
  const request = { lists: { "foo-list": newest(2), "bar-list": newest(3) }, ...subscribedTo([room1]) };
  const told = async (args: JsonObject): Promise<readonly number[]> => {
    const answer = await user.sync(withExtension(extension, args, request));
    const ids = Object.keys(sectionOf(answer, extension).rooms ?? {});
    return ids.map((id) => rooms.indexOf(id) + 1).toSorted();
  };
  const mixed = { lists: ["foo-list", "no-list"], rooms: [room1, room2, "!no-room:hs1"] };
  expect(await told(mixed)).toEqual([1, 4, 5]);
  expect(await told({})).toEqual([1, 3, 4, 5]);
  expect(await told({ lists: [], rooms: [] })).toEqual([]);
  expect(await told({ lists: ["*"], rooms: [] })).toEqual([3, 4, 5]);
  expect(await told({ lists: [], rooms: [room5] })).toEqual([5]);
}

export const roomSelectionRows: readonly Row[] = [
  {
    number: 110,
    title: "Extensions tell of the rooms in the answer that their lists and rooms name, of all where they name none",
    run: async (world) => {
      for (const extension of ["account_data", "receipts", "typing"] as const) {
        await tellsOfRelevantRooms(world, extension);
      }
    },
  },
];
