/** A newer piece of work took this one's place. */
export class SupersededError extends Error {
  override readonly name = "SupersededError";
}

/** Asks a piece of work to end. */
interface End {
  abort(reason: Error): void;
}

/**
 * Work by key of which only the newest counts: a newer one asks the running one to end, and begins when it has. Any number
 * may come; all but the newest end as soon as they can.
 */
export class NewestFirst<Key> {
  readonly #running = new Map<Key, { readonly end: End; readonly done: Promise<unknown> }>();

  /** `end` is told with {@link SupersededError} when a newer one of the same key has come. */
  async run<T>(key: Key, end: End, work: () => Promise<T>): Promise<T> {
    const before = this.#running.get(key);
    before?.end.abort(new SupersededError("a newer request came"));
    const result = (before?.done ?? Promise.resolve()).then(work);
    const entry = { end, done: result.catch(() => undefined) };
    this.#running.set(key, entry);
    try {
      return await result;
    } finally {
      if (this.#running.get(key) === entry) this.#running.delete(key);
    }
  }
}
