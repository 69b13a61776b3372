/**
 * A signal of its own that aborts as another one does, or when it is told to. As `AbortSignal.any`, without its price: that keeps
 * weak references for the garbage collector to follow. Leaves no listener behind once it is disposed.
 */
export class LinkedAbort implements Disposable {
  readonly #own = new AbortController();
  readonly #outer: AbortSignal;

  constructor(outer: AbortSignal) {
    this.#outer = outer;
    outer.addEventListener("abort", this.#relay);
    if (outer.aborted) this.#relay();
  }

  get signal(): AbortSignal {
    return this.#own.signal;
  }

  abort(reason: Error): void {
    this.#own.abort(reason);
  }

  [Symbol.dispose](): void {
    this.#outer.removeEventListener("abort", this.#relay);
  }

  readonly #relay = (): void => this.#own.abort(this.#outer.reason);
}
