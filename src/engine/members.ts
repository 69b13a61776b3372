import type { RoomNid, UserId } from "../model/ids.ts";
import type { RoomData } from "../model/room-reads.ts";
import type { StreamPosition } from "../model/stream-position.ts";
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

/**
 * Whether a client is owed a member event that is being asked for: of an event that was stored after `since` and whose sender or
 * target nobody has told of yet, or of a room of which it wants all members for the first time. What was stored before was asked
 * for long ago, and is not waited for again.
 */
export function awaitsMembers(
  plan: SyncPlan,
  data: ReadonlyMap<RoomNid, RoomData>,
  members: ReadonlyMap<RoomNid, ReadonlyMap<UserId, unknown>>,
  since: StreamPosition,
): boolean {
  return plan.rooms.some((room) => {
    if (room.wish === "first") return true;
    const roomData = data.get(room.room);
    if (roomData === undefined || room.as !== "joined" || !room.config.requiredState.lazyMembers) return false;
    return (
      roomData.timeline.some(({ position }) => position > since) && lacksMember(plan, room, roomData, members, since)
    );
  });
}

function lacksMember(
  plan: SyncPlan,
  room: RoomPlan,
  data: RoomData,
  members: Parameters<typeof awaitsMembers>[2],
  since: StreamPosition,
): boolean {
  try {
    const cut = cutOf(plan, room, data);
    if (cut === undefined) return false;
    const recent = { ...cut, events: cut.events.filter(({ position }) => position > since) };
    const known = new Set(
      [...data.state, ...data.changed].filter(({ type }) => type === MEMBER).map(({ stateKey }) => stateKey),
    );
    const read = members.get(room.room);
    return [...neededMembers(plan.userId, room, data, recent)].some(
      (userId) => !known.has(userId) && read?.has(userId) !== true,
    );
  } catch {
    return false;
  }
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
  const users = new Set(neededMembers(plan.userId, room, data, cut));
  for (const hero of neededHeroes(room, data, showsGap(cut))) users.add(hero);
  for (const event of [...data.state, ...data.changed])
    if (event.type === MEMBER) users.delete(event.stateKey as UserId);
  return [...users];
}
