import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import type { DeviceName } from "../model/calling-device.ts";
import { deviceKey } from "./device-key.ts";

/** matrix-js-sdk sends a refused request again after 50 ms, for ever. Longer: a client that mends itself waits for nothing. */
const DELAY_MS = 1000;

/** Errors that a client gets at once: that its position is unknown is told on each of its connections. */
const FREE_ERRORS = 2;

/** After this long without one, errors do not count as repeated. */
const FORGOTTEN_AFTER_MS = 60_000;

/** Devices remembered. Fewer: a loop goes on undelayed when many devices loop. */
const MAX_DEVICES = 10_000;

/** Slows down devices that repeat what is refused as their fault. */
export class BadRequestDelay {
  readonly #errors: LRUCache<string, number>;

  constructor(clock: Clock) {
    this.#errors = new LRUCache({
      max: MAX_DEVICES,
      ttl: FORGOTTEN_AFTER_MS,
      ttlResolution: 0,
      perf: { now: () => clock.nowMs() },
    });
  }

  /** Counts an error; returns how long its answer should be held back, in milliseconds. */
  onError(device: DeviceName): number {
    const key = deviceKey(device);
    const errors = (this.#errors.get(key) ?? 0) + 1;
    this.#errors.set(key, errors);
    return errors > FREE_ERRORS ? DELAY_MS : 0;
  }

  onSuccess(device: DeviceName): void {
    this.#errors.delete(deviceKey(device));
  }
}
