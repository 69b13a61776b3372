import type { RoomId, UserId } from "./ids.ts";
import type { StreamPosition } from "./stream-position.ts";

/** A user has forgotten a room: the homeserver took their request, which it does only of who is out of the room. */
export interface ForgottenRoom {
  readonly userId: UserId;
  readonly roomId: RoomId;
  /** What is stored at or below it was stored before the request was sent. */
  readonly storedBefore: StreamPosition;
}
