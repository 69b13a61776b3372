/**
 * Calls for keys at most once in a given time each: at once when there was none in that time, else once at its end. Nothing is
 * lost: a request that comes after a call began leads to another.
 */
export class AtMostEvery<Key> implements Disposable {
  readonly #ms: number;
  readonly #call: (key: Key) => void;
  /** Keys that were called lately; true: they are to be called again. */
  readonly #lately = new Map<Key, boolean>();
  readonly #timers = new Set<NodeJS.Timeout>();

  constructor(ms: number, call: (key: Key) => void) {
    this.#ms = ms;
    this.#call = call;
  }

  request(key: Key): void {
    if (this.#lately.has(key)) this.#lately.set(key, true);
    else this.#run(key);
  }

  [Symbol.dispose](): void {
    for (const timer of this.#timers) clearTimeout(timer);
    this.#timers.clear();
  }

  #run(key: Key): void {
    this.#lately.set(key, false);
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      const isWanted = this.#lately.get(key) === true;
      this.#lately.delete(key);
      if (isWanted) this.#run(key);
    }, this.#ms);
    this.#timers.add(timer);
    this.#call(key);
  }
}
