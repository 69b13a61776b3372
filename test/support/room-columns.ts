import type { ReaderRoomColumns, RoomFactColumns } from "../../src/engine/view.ts";
import type { RoomNid } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";

/** So few that worlds of a few rooms have some that are no neighbours. */
export const NEIGHBOUR_BITS = 1;

interface Room {
  readonly room: RoomNid;
  readonly activity: number;
  readonly isComplete: boolean;
  readonly membership: Membership;
}

export const neighboursOf = <Some extends Room>(rooms: readonly Some[], group: number): readonly Some[] =>
  rooms.filter(({ room }) => room >> NEIGHBOUR_BITS === group);

/** @param rooms of all readers, by room number from 1 on. */
export function factColumns(rooms: readonly Room[]): RoomFactColumns {
  const byRoom = [undefined, ...rooms];
  const groups = byRoom.map((_, group) => neighboursOf(rooms, group));
  return {
    activity: Float64Array.from(byRoom, (room) => room?.activity ?? 0),
    complete: Uint8Array.from(byRoom, (room) => (room?.isComplete === true ? 1 : 0)),
    neighbourBits: NEIGHBOUR_BITS,
    activityNear: Float64Array.from(groups, (group) => Math.max(0, ...group.map(({ activity }) => activity))),
    incompleteNear: Int32Array.from(groups, (group) => group.filter(({ isComplete }) => !isComplete).length),
  };
}

/** @param rooms of one reader. */
export function readerColumns(rooms: readonly Room[]): ReaderRoomColumns {
  return {
    rooms: Int32Array.from(rooms, ({ room }) => room),
    memberships: Uint8Array.from(rooms, ({ membership }) => membership),
    outside: Int32Array.from(rooms.flatMap(({ membership }, index) => (membership === Membership.join ? [] : [index]))),
  };
}
