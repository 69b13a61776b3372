/**
 * Waits for calls, for a limited time. A call that comes while nobody waits is not lost: the next wait ends at once. Leaves no
 * timer and no listener behind once it is disposed.
 */
export class Wait implements Disposable {
  #isOver = false;
  #isCalled = false;
  #onCall: (() => void) | undefined;
  readonly #timer: NodeJS.Timeout;
  readonly #signal: AbortSignal;

  /** It is over after `ms`, or when `signal` aborts. */
  constructor(ms: number, signal: AbortSignal) {
    this.#signal = signal;
    this.#timer = setTimeout(this.#end, ms);
    signal.addEventListener("abort", this.#end);
    if (signal.aborted) this.#end();
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** There was a call since {@link rearm}. */
  get isCalled(): boolean {
    return this.#isCalled;
  }

  readonly call = (): void => {
    this.#isCalled = true;
    this.#onCall?.();
  };

  /** Calls after `ms`, unless it is disposed before. */
  callIn(ms: number): Disposable {
    const timer = setTimeout(this.call, ms);
    return { [Symbol.dispose]: () => clearTimeout(timer) };
  }

  /** Forgets the calls so far: what they tell of is about to be looked at. */
  rearm(): void {
    this.#isCalled = false;
  }

  /** Resolves when there was a call since {@link rearm}, or when it is over. */
  async next(): Promise<void> {
    if (this.#isCalled || this.#isOver) return;
    await new Promise<void>((resolve) => {
      this.#onCall = resolve;
    });
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#end);
  }

  readonly #end = (): void => {
    this.#isOver = true;
    this.#onCall?.();
  };
}
