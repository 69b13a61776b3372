import { setTimeout as pause } from "node:timers/promises";
import type { Database } from "../../../src/store/database.ts";
import type { Bench } from "../bench.ts";
import { openBenchDatabase } from "../bench-database.ts";
import { OWNER, tokenOf, userId } from "../population.ts";
import type { Row } from "../row.ts";
import { keptConnections, sync } from "../sync-client.ts";

const LOOK_EVERY_MS = 20;
const WITHIN_MS = 30 * 60_000;

/** The initial sync of the account with many rooms, which all later rows read. */
export async function ingestBulk(bench: Bench, bodyBytes: number): Promise<Row> {
  const { service, cluster } = bench;
  await using db = openBenchDatabase(bench.databaseUrl);
  const cpu = () => ({ intake: service.intake.cpuSeconds(), database: cluster.cpuSeconds() });
  const [before, startedMs] = [cpu(), performance.now()];
  const agent = keptConnections(false);
  // The poller goes on when the request that started it has ended.
  const url = service.client.clientUrl;
  const asked = sync({ url, token: tokenOf(OWNER), agent, connId: "bulk", range: [0, 0] }).catch(() => undefined);
  await untilSynced(db, bench);
  const seconds = (performance.now() - startedMs) / 1000;
  const after = cpu();
  await asked;
  agent.destroy();
  const [count] = await db.query<{ events: number }>({ text: "SELECT count(*) AS events FROM events" });
  const events = count?.events ?? 0;
  const intake = after.intake - before.intake;
  const database = after.database - before.database;
  return {
    key: "ingest-bulk",
    quantity: "ingest, bulk",
    figures: [
      { name: "per core", value: events / (intake + database), unit: "events/s", target: 25_000, isRate: true },
    ],
    how:
      `An initial sync of ${Math.round(bodyBytes / 1e6)} MB, ${events.toLocaleString("en")} events in ` +
      `${bench.sizes.ownerRooms.toLocaleString("en")} rooms, read from a file by the homeserver: ${seconds.toFixed(1)} s, ` +
      `${Math.round(events / seconds).toLocaleString("en")} events/s by the clock. Per core: divided by the CPU seconds of ` +
      `the intake process (${intake.toFixed(1)}) and the database (${database.toFixed(1)}).`,
  };
}

async function untilSynced(db: Database, { service }: Bench): Promise<void> {
  const deadlineMs = performance.now() + WITHIN_MS;
  const text = `SELECT is_synced FROM devices JOIN users USING (user_nid) WHERE user_id = $1`;
  for (;;) {
    const [device] = await db.query<{ is_synced: boolean }>({ name: "is-synced", text, values: [userId(OWNER)] });
    if (device?.is_synced === true) return;
    if (performance.now() > deadlineMs) throw new Error(`the initial sync was not stored\n${service.intake.log()}`);
    await pause(LOOK_EVERY_MS);
  }
}
