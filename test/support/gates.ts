import { setImmediate as immediate } from "node:timers/promises";
import type { Database } from "../../src/store/database.ts";

/**
 * Decides the order of things that go on at the same time. Whatever comes to a gate waits; when everything waits, one is let
 * through, the choice being the caller's. So an order can be had again. Gates stand open until then.
 */
export class Gates {
  readonly #choose: (count: number) => number;
  readonly #waiting: (() => void)[] = [];
  #running = 0;
  #isOpen = true;

  /** `choose` says which of so many goes on. */
  constructor(choose: (count: number) => number) {
    this.#choose = choose;
  }

  async pass(): Promise<void> {
    if (!this.#isOpen) await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  /** Nobody else goes on while this runs. */
  async through<T>(work: () => Promise<T>): Promise<T> {
    await this.pass();
    this.#running += 1;
    try {
      return await work();
    } finally {
      this.#running -= 1;
    }
  }

  /** Closes the gates, and lets one after the other through until all is done. */
  async run<T>(start: () => Promise<T>): Promise<T> {
    let isDone = false;
    this.#isOpen = false;
    const done = start().finally(() => {
      isDone = true;
    });
    while (!isDone) {
      // What has just gone on comes to its next gate.
      await immediate();
      if (this.#running > 0 || this.#waiting.length === 0) continue;
      const [next] = this.#waiting.splice(this.#choose(this.#waiting.length), 1);
      next?.();
    }
    this.#isOpen = true;
    for (const resolve of this.#waiting.splice(0)) resolve();
    return await done;
  }
}

/** The same database, with a gate before each query and one before its rows arrive. */
export const gated = (db: Database, gates: Gates): Database => ({
  ...db,
  async query<Row extends object>(query: Parameters<Database["query"]>[0]) {
    const rows = await gates.through(() => db.query<Row>(query));
    await gates.pass();
    return rows;
  },
});
