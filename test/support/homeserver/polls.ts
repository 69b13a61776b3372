import type { Device } from "./user.ts";

/** Long polls that wait for news right now. */
export interface Polls {
  /** Counts a request as held from the moment that it did not find an answer at once until `end`. */
  begin(device: Device): { end(): void };
  held(userId?: string): number;
  /** Resolves once at least so many are held, with true; with false when the time is over. */
  untilHeld(count: number, timeoutMs: number, userId?: string): Promise<boolean>;
}

export function createPolls(): Polls {
  const held = new Set<{ readonly device: Device }>();
  const watchers = new Set<() => void>();
  const count = (userId: string | undefined) =>
    [...held].filter(({ device }) => userId === undefined || device.user.userId === userId).length;
  return {
    held: count,
    begin: (device) => {
      const poll = { device };
      // An answer that was there at once comes before this turn of the event loop ends.
      const parked = setImmediate(() => {
        held.add(poll);
        for (const look of [...watchers]) look();
      });
      return {
        end: () => {
          clearImmediate(parked);
          held.delete(poll);
        },
      };
    },
    untilHeld: (wanted, timeoutMs, userId) =>
      new Promise((resolve) => {
        const done = (isHeld: boolean) => {
          watchers.delete(look);
          clearTimeout(timer);
          resolve(isHeld);
        };
        const look = () => {
          if (count(userId) >= wanted) done(true);
        };
        const timer = setTimeout(() => done(false), timeoutMs);
        watchers.add(look);
        look();
      }),
  };
}
