/** Wakes the long polls of a user. A poll registers, then reads, then waits: so no news is slept over. */
export interface WakeUp {
  /** Resolves at the next news for this user, or when the signal aborts. */
  next(userId: string, signal: AbortSignal): Promise<void>;
  wake(userId: string): void;
  /** Nobody waits. */
  isIdle(): boolean;
}

export function createWakeUp(): WakeUp {
  const waiting = new Map<string, Set<() => void>>();
  return {
    next: (userId, signal) =>
      new Promise((resolve) => {
        const waiters = waiting.get(userId) ?? new Set();
        waiting.set(userId, waiters);
        const done = () => {
          waiters.delete(done);
          if (waiters.size === 0) waiting.delete(userId);
          signal.removeEventListener("abort", done);
          resolve();
        };
        waiters.add(done);
        if (signal.aborted) done();
        else signal.addEventListener("abort", done);
      }),
    isIdle: () => waiting.size === 0,
    wake: (userId) => {
      for (const done of [...(waiting.get(userId) ?? [])]) done();
    },
  };
}
