import type { SyncOutcome } from "../engine/assemble.ts";
import { Wait } from "../lib/wait.ts";
import type { UserNid } from "../model/ids.ts";
import type { Stream } from "../stream/stream.ts";

interface Computed {
  readonly outcome: SyncOutcome;
  /** There is news then, though nothing moves; undefined: only what moves brings any. */
  readonly newsInMs: number | undefined;
}

interface LongPoll {
  readonly userNid: UserNid;
  /** 0: no waiting. */
  readonly timeoutMs: number;
  /** Ends the waiting, not the answer. */
  readonly signal: AbortSignal;
  /** Computes an answer at the current position. */
  readonly compute: () => Promise<Computed>;
  readonly onWaiting: (change: 1 | -1) => void;
}

interface LongPollResult {
  readonly outcome: SyncOutcome;
  /** The answer was not there at once. */
  readonly hasWaited: boolean;
}

/**
 * Computes until there is news, the time is over or the signal aborts. The waiter is registered before each compute: what
 * is stored between the reading and the waiting wakes it.
 *
 *     register ── compute ──────────── wait …
 *                    └ reads ─┐  ▲ stored and published here: the wait ends at once
 */
export async function longPoll(stream: Stream, poll: LongPoll): Promise<LongPollResult> {
  if (poll.timeoutMs <= 0) return { outcome: (await poll.compute()).outcome, hasWaited: false };
  using wait = new Wait(poll.timeoutMs, poll.signal);
  using _moved = stream.onMoved(poll.userNid, wait.call);
  for (let hasWaited = false; ; hasWaited = true) {
    wait.rearm();
    const { outcome, newsInMs } = await poll.compute();
    if (outcome.hasNews || wait.isOver) return { outcome, hasWaited };
    using _later = newsInMs === undefined ? undefined : wait.callIn(newsInMs);
    poll.onWaiting(1);
    await wait.next().finally(() => poll.onWaiting(-1));
    // Nothing moved, so there is nothing to look at again.
    if (wait.isOver && !wait.isCalled) return { outcome, hasWaited: true };
  }
}
