import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { DeviceName } from "../model/calling-device.ts";
import { LimitExceededError } from "./client-errors.ts";
import { deviceKey } from "./device-key.ts";

/** More: one client can take more of the service. Fewer: a room list that grows step by step is slowed down. */
const REQUESTS_PER_SECOND = 20;

/** Requests that a device may make at once after a pause. More and fewer: as above, for the start of a client. */
const BURST_REQUESTS = 60;

/** Devices watched; whoever makes no requests is forgotten first. Fewer: limits of busy devices are forgotten. */
const MAX_DEVICES = 10_000;

interface Bucket {
  requestsLeft: number;
  filledAtMs: number;
}

/** Holds each device to its share of requests. */
export class RateLimit {
  readonly #clock: Clock;
  readonly #buckets = new LRUCache<string, Bucket>({ max: MAX_DEVICES });

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** Counts one request. Throws {@link LimitExceededError} when it is one too many. */
  take(device: DeviceName): void {
    const nowMs = this.#clock.nowMs();
    const key = deviceKey(device);
    const bucket = this.#buckets.get(key) ?? { requestsLeft: BURST_REQUESTS, filledAtMs: nowMs };
    const passedMs = Math.max(0, nowMs - bucket.filledAtMs);
    const requestsLeft = Math.min(BURST_REQUESTS, bucket.requestsLeft + (passedMs * REQUESTS_PER_SECOND) / 1000);
    const isAllowed = requestsLeft >= 1;
    this.#buckets.set(key, { requestsLeft: isAllowed ? requestsLeft - 1 : requestsLeft, filledAtMs: nowMs });
    if (!isAllowed) throw new LimitExceededError(Math.ceil(((1 - requestsLeft) * 1000) / REQUESTS_PER_SECOND));
  }
}
