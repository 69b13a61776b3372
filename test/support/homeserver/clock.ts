/** Wall time that a test can push forward, so that a cache of two minutes is seen to expire at once. */
export interface Clock {
  nowMs(): number;
  advance(ms: number): void;
}

export function createClock(): Clock {
  let aheadMs = 0;
  return {
    nowMs: () => Date.now() + aheadMs,
    advance: (ms) => {
      aheadMs += ms;
    },
  };
}
