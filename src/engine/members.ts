import type { RoomNid, UserId } from "../model/ids.ts";
import type { RoomData } from "../model/room-reads.ts";
import { MEMBER } from "./event-types.ts";
import type { SyncPlan } from "./plan.ts";
import { neededHeroes } from "./rooms/heroes.ts";
import { neededMembers } from "./rooms/lazy-members.ts";
import { cutOf, showsGap } from "./rooms/room-cut.ts";
import type { RoomPlan } from "./rooms/room-plan.ts";

/** Member events that the timelines turn out to need, by room: read with current state as of the plan's `to`. */
export function memberReads(
  plan: SyncPlan,
  data: ReadonlyMap<RoomNid, RoomData>,
): ReadonlyMap<RoomNid, readonly UserId[]> {
  const reads = new Map<RoomNid, readonly UserId[]>();
  for (const room of plan.rooms) {
    const roomData = data.get(room.room);
    if (roomData === undefined || room.as !== "joined") continue;
    const users = membersOrNone(plan, room, roomData);
    if (users.length > 0) reads.set(room.room, users);
  }
  return reads;
}

/** A room that fails here fails in assembling too, where it is named; it must not fail the others. */
function membersOrNone(plan: SyncPlan, room: RoomPlan, data: RoomData): readonly UserId[] {
  try {
    return membersToRead(plan, room, data);
  } catch {
    return [];
  }
}

function membersToRead(plan: SyncPlan, room: RoomPlan, data: RoomData): readonly UserId[] {
  const cut = cutOf(plan, room, data);
  const users = new Set(neededMembers(room, data, cut));
  for (const hero of neededHeroes(room, data, showsGap(cut))) users.add(hero);
  for (const event of [...data.state, ...data.changed])
    if (event.type === MEMBER) users.delete(event.stateKey as UserId);
  return [...users];
}
