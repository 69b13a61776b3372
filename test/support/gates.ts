import { setImmediate as immediate } from "node:timers/promises";
import type { Database } from "../../src/store/database.ts";

/**
 * Decides the order of things that go on at the same time. Whatever comes to a gate waits there, and gets a rank from the
 * caller; when everything waits, the one with the highest rank goes on. So an order can be had again, and one with a low rank
 * waits until all others are through.
 */
export class Gates {
  readonly #nextRank: () => number;
  readonly #waiting: { readonly rank: number; readonly goOn: () => void }[] = [];
  #running = 0;
  #isOpen = true;

  constructor(nextRank: () => number) {
    this.#nextRank = nextRank;
  }

  async pass(): Promise<void> {
    if (this.#isOpen) return;
    await new Promise<void>((resolve) => this.#waiting.push({ rank: this.#nextRank(), goOn: resolve }));
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

  /** Closes the gates, which stand open before, and lets one after the other through until all is done. */
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
      const highest = this.#waiting.reduce((best, each) => (each.rank > best.rank ? each : best));
      this.#waiting.splice(this.#waiting.indexOf(highest), 1);
      highest.goOn();
    }
    this.#isOpen = true;
    for (const { goOn } of this.#waiting.splice(0)) goOn();
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
