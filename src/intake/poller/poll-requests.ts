/**
 * A homeserver may give the same answer to the same question for a while. One that must be new waits for so many milliseconds at
 * most, each time for others. Larger: the slowest of them takes longer. Smaller: an old answer may count as a new one.
 */
const HURRIED_TIMEOUTS_MS = 500;

/** How long somebody waits for a poll that they asked for; tuwunel holds each for five seconds. Longer: who waits begins late. Shorter: it begins at greater cost. */
const PATIENCE_MS = 8_000;

/** One upstream request of a poller. */
export interface PollRequest extends Disposable {
  /** How long it may wait for news, where somebody waits for its answer; undefined: as long as any. */
  readonly hurriedMs: number | undefined;
  readonly isHurried: boolean;
  readonly signal: AbortSignal;
  /** From now on nobody interrupts it. */
  isAnswered(): void;
  isStored(): void;
}

interface Waiting {
  readonly settle: (isStored: boolean) => void;
}

class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

/**
 * Who waits for a poller to poll anew, and the request under way: one that waits for news is interrupted.
 *
 *     add ──► interrupts what waits ──► begin (hurried) ──► isStored: true
 *                     what is being answered ends, and the next one is hurried
 */
export class PollRequests implements Disposable {
  readonly #waiting = new Set<Waiting>();
  #interrupt: AbortController | undefined;
  #hurries = 0;
  #isOver = false;

  /** Resolves when the answer to a request is stored that began after this call; false: not within a few seconds. */
  async add(signal: AbortSignal): Promise<boolean> {
    if (this.#isOver || signal.aborted) return false;
    const { promise, resolve } = Promise.withResolvers<boolean>();
    const waiting = { settle: resolve };
    this.#waiting.add(waiting);
    this.#interrupt?.abort(new InterruptedError("a poll is to begin anew"));
    const giveUp = () => resolve(false);
    const timer = setTimeout(giveUp, PATIENCE_MS);
    signal.addEventListener("abort", giveUp, { once: true });
    try {
      return await promise;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener("abort", giveUp);
      this.#waiting.delete(waiting);
    }
  }

  begin(signal: AbortSignal): PollRequest {
    const served = [...this.#waiting];
    const interrupt = new AbortController();
    this.#interrupt = interrupt;
    const isAnswered = () => {
      if (this.#interrupt === interrupt) this.#interrupt = undefined;
    };
    const isHurried = served.length > 0;
    if (isHurried) this.#hurries += 1;
    return {
      isHurried,
      hurriedMs: isHurried ? this.#hurries % HURRIED_TIMEOUTS_MS : undefined,
      signal: AbortSignal.any([signal, interrupt.signal]),
      isAnswered,
      isStored: () => {
        for (const { settle } of served) settle(true);
      },
      [Symbol.dispose]: isAnswered,
    };
  }

  /** Whether a request failed because somebody wants another one. */
  hasInterrupted(error: unknown): boolean {
    for (let cause = error; cause instanceof Error; cause = cause.cause) {
      if (cause instanceof InterruptedError) return true;
    }
    return false;
  }

  [Symbol.dispose](): void {
    this.#isOver = true;
    for (const { settle } of this.#waiting) settle(false);
  }
}
