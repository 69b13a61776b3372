import type { FollowingClient } from "./following-client.ts";
import type { RoomTruth, Truth } from "./truth.ts";
import { unequal } from "./unequal.ts";

/** In what a client shows something else than the homeserver says; empty: in nothing. */
export function clientDifferences(truth: Truth, client: FollowingClient): string[] {
  return [
    ...unequal("complaints of the client", [], client.complaints),
    ...unequal(
      "the client's invites",
      truth.invites,
      [...client.rooms.values()].filter((room) => room.isInvite).length,
    ),
    // A room that was just left is counted once more.
    ...(client.count < truth.rooms.size + truth.invites ? [`the client's list has ${client.count} rooms`] : []),
    ...[...truth.rooms].flatMap(([roomId, room]) => roomDifferences(roomId, room, client)),
  ];
}

function roomDifferences(roomId: string, truth: RoomTruth, { rooms }: FollowingClient): string[] {
  const room = rooms.get(roomId);
  if (room === undefined) return [`the client has no ${roomId}`];
  const newest = truth.timeline.length === 0 ? [] : room.timeline.slice(-truth.timeline.length);
  const state = [...room.state].map(([key]) => [key, truth.state.get(key)]);
  return [
    ...unequal(`the client's timeline of ${roomId}`, truth.timeline, newest),
    ...unequal(`the client's state of ${roomId}`, state, [...room.state]),
    ...unequal(`the client's members of ${roomId}`, truth.joinedCount, room.joinedCount),
    ...unequal(`the client's unread messages of ${roomId}`, truth.notificationCount, room.notificationCount),
    ...unequal(`the client's invite of ${roomId}`, false, room.isInvite),
  ];
}
