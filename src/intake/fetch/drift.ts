import type { RoomId } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { OwnRoom } from "../../store/reconcile.ts";

/** Where a user's stored memberships differ from the rooms that the homeserver has them in. */
export interface Drift {
  /** Joined in the store alone. */
  readonly gone: readonly RoomId[];
  /** Joined at the homeserver alone. */
  readonly missing: readonly RoomId[];
}

/** Memberships that were stored after the homeserver was asked say more than its answer. */
export function driftOf(
  joined: ReadonlySet<RoomId>,
  stored: ReadonlyMap<RoomId, OwnRoom>,
  storedBefore: StreamPosition,
): Drift {
  const isStoredJoin = (roomId: RoomId) => stored.get(roomId)?.membership === Membership.join;
  const isOld = (roomId: RoomId) => (stored.get(roomId)?.since ?? 0) <= storedBefore;
  return {
    gone: [...stored.keys()].filter((roomId) => isStoredJoin(roomId) && !joined.has(roomId) && isOld(roomId)),
    missing: [...joined].filter((roomId) => !isStoredJoin(roomId) && isOld(roomId)),
  };
}
