import type { Database } from "../../src/store/database.ts";
import { DatabaseUnavailableError } from "../../src/store/database-errors.ts";

export interface WatchedDatabase extends Database {
  /** Names of the statements since the last call. */
  asked(): readonly string[];
  /** Names of the statements that have run since the last call: what is stored from now on, they did not see. */
  ran(): readonly string[];
  /** The next statement of that name waits, after it has run, until it is let go. Resolves once it has run. */
  hold(name: string): Promise<() => void>;
  /** The next statements of that name fail; `unavailable`: as when the database cannot be reached. */
  fail(name: string, times: number, how?: "unavailable"): void;
}

/** The same database; says what it was asked, and holds answers back. */
export function watched(db: Database): WatchedDatabase {
  const names: string[] = [];
  const run: string[] = [];
  const held = new Map<string, { readonly onRun: (letGo: () => void) => void }>();
  const failing = new Map<string, { times: number; readonly how: "unavailable" | undefined }>();
  return {
    ...db,
    asked: () => names.splice(0),
    ran: () => run.splice(0),
    hold: (name) => new Promise((resolve) => held.set(name, { onRun: resolve })),
    fail: (name, times, how) => failing.set(name, { times, how }),
    async query<Row extends object>(query: Parameters<Database["query"]>[0]) {
      const { name = "" } = query;
      names.push(name);
      const failure = failing.get(name);
      if (failure !== undefined && failure.times > 0) {
        failure.times -= 1;
        throw failure.how === "unavailable" ? new DatabaseUnavailableError(name) : new Error(`${name} fails`);
      }
      const rows = await db.query<Row>(query);
      run.push(name);
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
