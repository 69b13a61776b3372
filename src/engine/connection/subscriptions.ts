import type { RoomConfig, SyncRequest } from "../request.ts";
import { configKey } from "./config-codec.ts";
import type { ConnectionState } from "./state.ts";

type Subscriptions = ConnectionState["subscriptions"];

/**
 * Subscriptions that a connection keeps; the oldest go. More: a client that never unsubscribes makes its connection
 * grow. Fewer: rooms that a client still shows stop to be sent, unless a list covers them.
 */
const MAX_KEPT_SUBSCRIPTIONS = 500;

/** The subscriptions that count for this request: a room that is both named and unsubscribed is unsubscribed. */
export function keptSubscriptions(before: Subscriptions, request: SyncRequest): Subscriptions {
  if (request.subscriptionMode === "replace") return request.subscriptions;
  if (request.subscriptions.size === 0 && request.unsubscribed.length === 0) return before;
  const kept = new Map(before);
  for (const [roomId, config] of request.subscriptions) {
    kept.delete(roomId);
    kept.set(roomId, config);
  }
  for (const roomId of request.unsubscribed) kept.delete(roomId);
  for (const roomId of kept.keys()) {
    if (kept.size <= MAX_KEPT_SUBSCRIPTIONS) break;
    kept.delete(roomId);
  }
  return kept;
}

/** What has to be remembered; undefined: what is remembered already, or nothing in mode `"replace"`. */
export function subscriptionsDelta(
  before: Subscriptions,
  now: Subscriptions,
  request: SyncRequest,
): Subscriptions | undefined {
  if (request.subscriptionMode === "replace" || now === before) return undefined;
  return isSame(before, now) ? undefined : now;
}

const isSame = (before: Subscriptions, now: Subscriptions): boolean =>
  before.size === now.size && [...now].every(([roomId, config]) => isEqual(before.get(roomId), config));

const isEqual = (before: RoomConfig | undefined, now: RoomConfig): boolean =>
  before === now || (before !== undefined && configKey(before) === configKey(now));
