/** Where time comes from. */
export interface Clock {
  /** Milliseconds since 1970, with fractions. */
  nowMs(): number;
}

export const systemClock: Clock = { nowMs: () => performance.timeOrigin + performance.now() };

/** Microseconds since 1970, as stream positions and latency marks count. */
export const microseconds = (clock: Clock): number => Math.round(clock.nowMs() * 1000);
