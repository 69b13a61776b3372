import type { Database } from "../../src/store/database.ts";

export interface WatchedDatabase extends Database {
  /** Names of the statements since the last call. */
  asked(): readonly string[];
  /** The next statement of that name waits, after it has run, until it is let go. Resolves once it has run. */
  hold(name: string): Promise<() => void>;
  /** The next statements of that name fail. */
  fail(name: string, times: number): void;
}

/** The same database; says what it was asked, and holds answers back. */
export function watched(db: Database): WatchedDatabase {
  const names: string[] = [];
  const held = new Map<string, { readonly onRun: (letGo: () => void) => void }>();
  const failing = new Map<string, number>();
  return {
    ...db,
    asked: () => names.splice(0),
    hold: (name) => new Promise((resolve) => held.set(name, { onRun: resolve })),
    fail: (name, times) => failing.set(name, times),
    async query<Row extends object>(query: Parameters<Database["query"]>[0]) {
      const { name = "" } = query;
      names.push(name);
      const left = failing.get(name) ?? 0;
      if (left > 0) {
        failing.set(name, left - 1);
        throw new Error(`${name} fails`);
      }
      const rows = await db.query<Row>(query);
      const hold = held.get(name);
      if (hold !== undefined) {
        held.delete(name);
        const { promise, resolve } = Promise.withResolvers<void>();
        hold.onRun(resolve);
        await promise;
      }
      return rows;
    },
  };
}
