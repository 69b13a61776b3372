import { ChangeStream } from "../model/change.ts";
import type { Database, Queryable } from "./database.ts";
import { isDraining } from "./draining.ts";
import { runAlone } from "./running-mark.ts";

/** What exists nowhere else (docs/loss-ledger.md). What of `users` and `devices` is cache is set back. */
export const LEDGER_TABLES = [
  "devices",
  "device_list_log",
  "draining",
  "schema_migrations",
  "secret_canary",
  "stream_head",
  "to_device_heads",
  "to_device_messages",
  "users",
] as const;

/** What the homeserver tells again, and what clients begin anew. */
export const CACHE_TABLES = [
  "account_data",
  "batch_tokens",
  "changes",
  "chunks",
  "connection_deltas",
  "connections",
  "contests",
  "current_state",
  "events",
  "history_wants",
  "member_wishes",
  "memberships",
  "recalled_departures",
  "recalls",
  "receipts",
  "redactions",
  "response_tokens",
  "rooms",
  "state_deltas",
  "transaction_ids",
  "typing",
] as const;

/** Of `changes` the ledger has the positions of what is the devices' own. */
const OF_DEVICES = [ChangeStream.toDevice, ChangeStream.deviceLists, ChangeStream.keys];

/** What was there, and what stayed. */
export interface DroppedCache {
  readonly rooms: number;
  readonly events: number;
  readonly connections: number;
  readonly devices: number;
  readonly toDeviceMessages: number;
}

/** What is dropped would not come back. */
class DrainingError extends Error {
  override readonly name = "DrainingError";
}

const DRAINING =
  "no device is polled, so that nothing would come in the place of what is dropped; run slidecar drain --end first";

/** Copying and emptying tables of a large installation. Smaller: such a one can never be rebuilt. */
const TIMEOUT_MS = 60 * 60_000;

/**
 * Drops all that the homeserver can tell again; every device asks it for all rooms with its next poll. Numbers go on above those
 * that were issued. Throws {@link RunningError} while a process runs on the database, {@link DrainingError} while nothing is taken in.
 */
export async function dropCache(db: Database): Promise<DroppedCache> {
  await using _alone = await runAlone(db);
  return await db.transaction(async (tx) => {
    if (await isDraining(tx)) throw new DrainingError(DRAINING);
    const dropped = await count(tx);
    await tx.query({
      text: `CREATE TEMPORARY TABLE kept_changes ON COMMIT DROP AS SELECT * FROM changes WHERE stream = ANY($1::smallint[])`,
      values: [OF_DEVICES],
      timeoutMs: TIMEOUT_MS,
    });
    await tx.query({ text: `TRUNCATE ${CACHE_TABLES.join(", ")}`, timeoutMs: TIMEOUT_MS });
    await tx.query({ text: "INSERT INTO changes SELECT * FROM kept_changes", timeoutMs: TIMEOUT_MS });
    await tx.query({ text: "UPDATE users SET announced_joined = NULL, reconciled_at = NULL", timeoutMs: TIMEOUT_MS });
    await tx.query({ text: ASK_ANEW, timeoutMs: TIMEOUT_MS });
    return dropped;
  });
}

// A poller that had the device before, wherever it hangs, must not move its stream on. The timeout differs from that of requests
// in the minutes before, to which the homeserver may remember the answers.
const ASK_ANEW = `
  UPDATE devices
     SET is_synced = false, has_window = false, first_asked = NULL, owner = NULL, lease_until = NULL, epoch = epoch + 1,
         asks_anew = CASE WHEN since IS NOT NULL THEN 1 + extract(epoch FROM now())::bigint % 1000 END`;

async function count(db: Queryable): Promise<DroppedCache> {
  const [row] = await db.query<DroppedCache>({
    text: `SELECT (SELECT count(*)::int FROM rooms) AS rooms, (SELECT count(*)::int FROM events) AS events,
                  (SELECT count(*)::int FROM connections) AS connections, (SELECT count(*)::int FROM devices) AS devices,
                  (SELECT count(*)::int FROM to_device_messages) AS "toDeviceMessages"`,
    timeoutMs: TIMEOUT_MS,
  });
  if (row === undefined) throw new Error("counts are one row");
  return row;
}
