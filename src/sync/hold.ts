import type { HoldWindow } from "../engine/keep-back.ts";
import type { Clock } from "../lib/clock.ts";
import { justSentAfterMs } from "../model/own-events.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { RecentPositions } from "../stream/recent-positions.ts";

/**
 * How long a room is kept back for what the reader has just sent, or what only somebody who ignores others was told, and how
 * long counts that rose alone wait for another reason to answer. Longer: messages are late where a device is not polled in time,
 * and so are counts. Shorter: more messages are shown twice by the device that sent them, or after a hole, and busy rooms are
 * answered twice.
 */
const HOLD_MS = 1_000;

/** How long answers hold something, by what this process has reached when. */
export class Hold {
  readonly #recent: RecentPositions;
  readonly #clock: Clock;

  constructor(recent: RecentPositions, clock: Clock) {
    this.#recent = recent;
    this.#clock = clock;
  }

  window(): HoldWindow {
    const nowMs = this.#clock.nowMs();
    const [after, longAfter] = [this.#recent.at(nowMs - HOLD_MS), this.#recent.at(nowMs - 2 * HOLD_MS)];
    return { after, longAfter, sentAfterMs: justSentAfterMs(nowMs) };
  }

  /** In how many milliseconds what waits since the older of two positions is free, if nothing moves; undefined: nothing waits. */
  endsInMs(a: StreamPosition | undefined, b: StreamPosition | undefined): number | undefined {
    if (a === undefined && b === undefined) return undefined;
    const since = Math.min(a ?? Number.POSITIVE_INFINITY, b ?? Number.POSITIVE_INFINITY) as StreamPosition;
    return Math.ceil(Math.max(0, (this.#recent.reachedMs(since) ?? 0) + HOLD_MS - this.#clock.nowMs()));
  }
}
