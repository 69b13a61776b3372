import { membershipOf } from "../event.ts";
import type { World } from "../world.ts";
import type { DeviceLists, RoomAnswer, SyncRequest } from "./model.ts";

export interface RoomMoves {
  readonly newlyJoined: ReadonlySet<string>;
  readonly newlyLeft: ReadonlySet<string>;
}

/**
 * Whose devices the client should ask for again, and whose it may forget. Synapse goes by shared rooms, encrypted or
 * not, and by the member events of this very answer.
 */
export function computeDeviceLists(
  world: World,
  request: SyncRequest,
  joined: readonly RoomAnswer[],
  moves: RoomMoves,
): DeviceLists {
  const since = request.since;
  if (since === undefined || since.deviceList === 0) return { changed: [], left: [] };
  const { user } = request.device;
  const { arrived, gone } = memberMoves(joined.filter(({ room }) => isOfDevices(world, room.id)));
  const changed = new Set(usersWithChangedDevices(world, user.userId, since.deviceList));
  const counts = (roomId: string) => isOfDevices(world, roomId);
  for (const roomId of [...moves.newlyJoined].filter(counts))
    for (const userId of world.room(roomId).joinedMembers()) arrived.add(userId);
  for (const userId of arrived) changed.add(userId);
  for (const roomId of [...moves.newlyLeft].filter(counts))
    for (const userId of world.room(roomId).joinedMembers()) gone.add(userId);
  const left = [...gone].filter((userId) => !sharesRoom(world, user.userId, userId));
  return { changed: [...changed], left };
}

function memberMoves(joined: readonly RoomAnswer[]): { arrived: Set<string>; gone: Set<string> } {
  const arrived = new Set<string>();
  const gone = new Set<string>();
  for (const { state, timeline } of joined) {
    for (const event of [...state, ...timeline.events].map((shown) => shown.event)) {
      if (event.type !== "m.room.member" || event.stateKey === undefined) continue;
      const membership = membershipOf(event);
      if (membership === "leave" || membership === "ban") {
        if (event.replaces !== undefined && membershipOf(event.replaces) === "join") gone.add(event.stateKey);
        arrived.delete(event.stateKey);
      } else {
        arrived.add(event.stateKey);
        gone.delete(event.stateKey);
      }
    }
  }
  return { arrived, gone };
}

function usersWithChangedDevices(world: World, self: string, after: number): string[] {
  return [...world.users.values()]
    .filter((other) => other.deviceListPosition > after)
    .filter((other) => other.userId === self || sharesRoom(world, self, other.userId))
    .map((other) => other.userId);
}

function sharesRoom(world: World, self: string, other: string): boolean {
  const own = world.users.get(self);
  const rooms = world.users.get(other)?.joinedRooms() ?? own?.joinedRooms() ?? [];
  return rooms.some(
    (roomId) =>
      isOfDevices(world, roomId) && own?.isJoined(roomId) === true && world.room(roomId).membership(other) === "join",
  );
}

/** Whether members of the room hear of each other's devices. */
function isOfDevices(world: World, roomId: string): boolean {
  return world.profile.deviceListRooms === "all" || world.room(roomId).state("m.room.encryption") !== undefined;
}
