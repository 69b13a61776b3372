/** Lets a bounded number of holders in at a time, in the order in which they asked but for those who go before all others. */
export class Semaphore {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(places: number) {
    this.#free = places;
  }

  /** Runs `work` with a place. When `signal` aborts before there is one, `work` does not run and undefined is returned. */
  async run<T>(work: () => Promise<T>, signal: AbortSignal, { isFirst = false } = {}): Promise<T | undefined> {
    if (!(await this.#enter(signal, isFirst))) return undefined;
    try {
      return await work();
    } finally {
      this.#leave();
    }
  }

  async #enter(signal: AbortSignal, isFirst: boolean): Promise<boolean> {
    if (signal.aborted) return false;
    if (this.#free > 0) {
      this.#free -= 1;
      return true;
    }
    return await new Promise<boolean>((resolve) => {
      const admit = () => {
        signal.removeEventListener("abort", giveUp);
        resolve(true);
      };
      const giveUp = () => {
        this.#waiting.splice(this.#waiting.indexOf(admit), 1);
        resolve(false);
      };
      signal.addEventListener("abort", giveUp, { once: true });
      if (isFirst) this.#waiting.unshift(admit);
      else this.#waiting.push(admit);
    });
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
