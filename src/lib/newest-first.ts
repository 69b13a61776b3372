/**
 * Work by key of which only the newest counts: a newer one asks the running one to end, and begins when it has. Any number
 * may come; all but the newest end as soon as they can.
 */
export class NewestFirst<Key> {
  readonly #running = new Map<Key, { readonly end: AbortController; done: Promise<unknown> }>();

  /** `work` gets a signal that aborts when a newer one of the same key has come. */
  async run<T>(key: Key, work: (superseded: AbortSignal) => Promise<T>): Promise<T> {
    const before = this.#running.get(key);
    before?.end.abort();
    const end = new AbortController();
    const result = (before?.done ?? Promise.resolve()).then(() => work(end.signal));
    const entry = { end, done: result.catch(() => undefined) };
    this.#running.set(key, entry);
    try {
      return await result;
    } finally {
      if (this.#running.get(key) === entry) this.#running.delete(key);
    }
  }
}
