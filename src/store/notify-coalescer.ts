import type { Clock } from "../lib/clock.ts";
import type { StreamPosition } from "../model/stream-position.ts";

/** Runs `work` once after `ms`; the result takes that back. */
type After = (ms: number, work: () => void) => () => void;

export interface NotifyCoalescer extends Disposable {
  /** Everything up to `position` is committed. */
  announce(position: StreamPosition): void;
}

interface CoalescerOptions {
  /** Sends the highest position to the other processes. Not inside a transaction: NOTIFY serializes commits. */
  readonly notify: (payload: string) => Promise<void>;
  /** A notification failed. Nothing is lost: readers catch up by position. */
  readonly onError: (error: unknown) => void;
  readonly clock: Clock;
  readonly after: After;
}

/** At most one notification in this time. Larger: other processes wake later; smaller: more load on all of them. */
export const NOTIFY_INTERVAL_MS = 10;

/**
 * Tells other processes how far the stream has come: at once when nothing was told in the last
 * {@link NOTIFY_INTERVAL_MS}, else once at its end, with the highest position so far.
 */
export function createNotifyCoalescer({ notify, onError, clock, after }: CoalescerOptions): NotifyCoalescer {
  let told = 0;
  let highest = 0;
  let lastMs = Number.NEGATIVE_INFINITY;
  let cancel: (() => void) | undefined;

  const send = () => {
    cancel = undefined;
    lastMs = clock.nowMs();
    told = highest;
    notify(String(highest)).catch(onError);
  };
  return {
    announce(position) {
      highest = Math.max(highest, position);
      if (highest === told || cancel !== undefined) return;
      // A clock that was set back must not hold up the stream.
      const sinceMs = Math.max(0, clock.nowMs() - lastMs);
      if (sinceMs >= NOTIFY_INTERVAL_MS) send();
      else cancel = after(NOTIFY_INTERVAL_MS - sinceMs, send);
    },
    [Symbol.dispose]() {
      cancel?.();
      cancel = undefined;
    },
  };
}
