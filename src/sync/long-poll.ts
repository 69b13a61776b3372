import type { SyncOutcome } from "../engine/assemble.ts";
import type { UserNid } from "../model/ids.ts";
import type { Stream } from "../stream/stream.ts";

export interface LongPoll {
  readonly userNid: UserNid;
  /** 0: no waiting. */
  readonly timeoutMs: number;
  /** Ends the waiting, not the answer. */
  readonly signal: AbortSignal;
  /** Computes an answer at the current position. */
  readonly compute: () => Promise<SyncOutcome>;
  readonly onWaiting: (change: 1 | -1) => void;
}

export interface LongPollResult {
  readonly outcome: SyncOutcome;
  /** The answer was not there at once. */
  readonly hasWaited: boolean;
}

/**
 * Computes until there is news, the time is over or the signal aborts. The waiter is registered before each compute: what
 * is stored between the reading and the waiting wakes it.
 */
export async function longPoll(stream: Stream, poll: LongPoll): Promise<LongPollResult> {
  const end = poll.timeoutMs > 0 ? AbortSignal.any([poll.signal, AbortSignal.timeout(poll.timeoutMs)]) : undefined;
  let hasWaited = false;
  for (;;) {
    const turn = new AbortController();
    try {
      const moved = end && stream.moved(poll.userNid, turn.signal);
      const outcome = await poll.compute();
      if (moved === undefined || end === undefined || outcome.hasNews || end.aborted) return { outcome, hasWaited };
      hasWaited = true;
      poll.onWaiting(1);
      await Promise.race([moved, aborted(end, turn.signal)]).finally(() => poll.onWaiting(-1));
    } finally {
      turn.abort();
    }
  }
}

/** Resolves when either signal aborts; leaves no listener behind. */
function aborted(signal: AbortSignal, otherwise: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    const end = () => {
      signal.removeEventListener("abort", end);
      otherwise.removeEventListener("abort", end);
      resolve();
    };
    signal.addEventListener("abort", end);
    otherwise.addEventListener("abort", end);
  });
}
