import type { Room } from "../room.ts";
import type { World } from "../world.ts";
import type { SyncRequest } from "./model.ts";

/**
 * The joined rooms that may have something to tell. Found from what happened since the token and not by asking every
 * room: with ten thousand rooms and a thousand events a second that would be all this process does.
 */
export function candidateRooms(world: World, request: SyncRequest): Room[] {
  return mayHaveNews(world, request).filter((room) => !room.isOfUnknownVersion);
}

function mayHaveNews(world: World, request: SyncRequest): Room[] {
  const { user } = request.device;
  const { since } = request;
  if (since === undefined || request.fullState) return user.joinedRooms().map((roomId) => world.room(roomId));
  const roomIds = new Set<string>();
  const note = (log: readonly { readonly position: number; readonly roomId: string }[], after: number) => {
    for (let index = log.length - 1; index >= 0; index--) {
      const entry = log[index];
      if (entry === undefined || entry.position <= after) break;
      roomIds.add(entry.roomId);
    }
  };
  for (let index = world.stream.length - 1; index >= 0; index--) {
    const event = world.stream[index];
    if (event === undefined || event.stream <= since.room.stream) break;
    roomIds.add(event.roomId);
  }
  note(world.receiptLog, since.receipt);
  note(world.typingLog, since.typing);
  note(user.roomDataLog, since.accountData);
  // In the order of a first sync: by when the user came in.
  const joined = [...roomIds].filter((roomId) => user.isJoined(roomId));
  const joinedAt = (roomId: string) => user.memberships.get(roomId)?.event.stream ?? 0;
  return joined.sort((a, b) => joinedAt(a) - joinedAt(b)).map((roomId) => world.room(roomId));
}
