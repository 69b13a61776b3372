import { ChangeStream } from "../model/change.ts";
import type { UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database } from "./database.ts";
import { drawBatches, publishChanges } from "./publish.ts";
import type { Query } from "./statement.ts";

/** Runs a statement that returns the rows it settles, and wakes who waits for any. Returns the position of that. */
export async function settleWant(db: Database, userNid: UserNid, settle: Query): Promise<StreamPosition | undefined> {
  return await db.transaction(
    async (tx) => {
      const rows = await tx.query(settle);
      const [batch] = await drawBatches(tx, rows.length);
      if (batch === undefined) return undefined;
      return (await publishChanges(tx, [{ batch, stream: ChangeStream.history, userNid, flags: 0 }], undefined))[0];
    },
    { lane: "live" },
  );
}
