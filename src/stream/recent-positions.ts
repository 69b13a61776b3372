import type { Clock } from "../lib/clock.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";

/** How far back it is known. Longer: more memory. Shorter than what is asked for: everything before counts as long ago. */
const KEPT_MS = 2_500;

/** Positions that are reached within so long of each other count as reached together. Larger: less exact. Smaller: more memory. */
const STEP_MS = 10;

/**
 * When this process reached its last positions, by its own clock: that of the database may differ, and positions may be ahead
 * of both.
 */
export class RecentPositions {
  readonly #clock: Clock;
  /** Oldest first. */
  #reached: { position: StreamPosition; readonly atMs: number }[] = [];
  /** Reached before all of these. */
  #before: StreamPosition | undefined;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** The process is at `position` now. Where it begins it has been for long. */
  note(position: StreamPosition): void {
    this.#before ??= position;
    const nowMs = this.#clock.nowMs();
    const last = this.#reached.at(-1);
    if (last !== undefined && nowMs - last.atMs < STEP_MS) {
      last.position = position;
      return;
    }
    this.#forgetOld(nowMs - KEPT_MS);
    if (position > this.#before) this.#reached.push({ position, atMs: nowMs });
  }

  /** The position that was reached by a time. */
  at(ms: number): StreamPosition {
    return this.#reached.findLast(({ atMs }) => atMs <= ms)?.position ?? this.#before ?? BEFORE_ALL;
  }

  /** When a position was reached; undefined: long ago, or not yet. */
  reachedMs(position: StreamPosition): number | undefined {
    if (this.#before === undefined || position <= this.#before) return undefined;
    return this.#reached.find((each) => each.position >= position)?.atMs;
  }

  #forgetOld(beforeMs: number): void {
    const count = this.#reached.findIndex(({ atMs }) => atMs > beforeMs);
    const forgotten = this.#reached.splice(0, count < 0 ? this.#reached.length : count);
    this.#before = forgotten.at(-1)?.position ?? this.#before;
  }
}
