import type { StreamPosition } from "../../model/stream-position.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import type { Source } from "../ingest/source.ts";

/**
 * What the homeserver says when it is asked as the user of a device. `storedBefore`: everything at or below it was stored before
 * the first request was sent.
 */
export const askedSource = (
  { userNid, userId, deviceNid }: ClaimedDevice,
  storedBefore: StreamPosition,
  nowUs: number,
): Source => ({
  userNid,
  userId,
  deviceNid,
  // What the homeserver shows, it shows to this user.
  ignoresSomebody: true,
  poll: "asked",
  storedBefore,
  toldUpTo: undefined,
  lastSeen: new Map(),
  nowUs,
});
