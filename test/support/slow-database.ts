import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "../../src/store/database.ts";

/** The same database, but each query waits before it is sent and before its rows arrive. */
export function slowed(db: Database, nextPauseMs: (name: string | undefined) => number): Database {
  const wait = async (name: string | undefined) => {
    const ms = nextPauseMs(name);
    if (ms > 0) await pause(ms);
  };
  return {
    ...db,
    async query<Row extends object>(query: Parameters<Database["query"]>[0]) {
      await wait(query.name);
      const rows = await db.query<Row>(query);
      await wait(query.name);
      return rows;
    },
  };
}
