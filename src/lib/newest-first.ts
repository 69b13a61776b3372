/** A newer piece of work took this one's place. */
export class SupersededError extends Error {
  override readonly name = "SupersededError";
}

/**
 * Work by key of which only the newest counts: a newer one asks the running one to end, and begins when it has. Any number
 * may come; all but the newest end as soon as they can.
 */
export class NewestFirst<Key> {
  readonly #running = new Map<Key, { readonly end: AbortController; readonly done: Promise<unknown> }>();

  /**
   * `work` gets a signal that aborts as `signal` does, or with {@link SupersededError} when a newer one of the same key has
   * come.
   */
  async run<T>(key: Key, signal: AbortSignal, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#running.get(key);
    before?.end.abort(new SupersededError("a newer request came"));
    const end = new AbortController();
    const relay = () => end.abort(signal.reason);
    signal.addEventListener("abort", relay);
    if (signal.aborted) relay();
    const result = (before?.done ?? Promise.resolve()).then(() => work(end.signal));
    const entry = { end, done: result.catch(() => undefined) };
    this.#running.set(key, entry);
    try {
      return await result;
    } finally {
      signal.removeEventListener("abort", relay);
      if (this.#running.get(key) === entry) this.#running.delete(key);
    }
  }
}
