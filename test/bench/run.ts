// Measures the product as clients and operators meet it: processes, HTTP, the embedded database with its own settings.
// Exit code 1: a row could not be measured or, but for the smoke run, is worse than three times its target.
import { createWriteStream } from "node:fs";
import { chmod, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { fileURLToPath } from "node:url";
import { type Bench, type RowMeasure, Service } from "./bench.ts";
import { openBenchDatabase, startCluster } from "./bench-database.ts";
import { startUpstream } from "./bench-upstream.ts";
import { neighbours, pressureFromNow, settingsOf } from "./machine.ts";
import { type Options, parseOptions, UsageError } from "./options.ts";
import { OWNER } from "./population.ts";
import { measureReference } from "./reference/reference.ts";
import { markdownReport, plainReport, type Report } from "./report.ts";
import { type Row, verdictOf } from "./row.ts";
import { beside } from "./rows/beside.ts";
import { connectionState } from "./rows/connection-state.ts";
import { extensions } from "./rows/extensions.ts";
import { ingestBulk } from "./rows/ingest-bulk.ts";
import { ingestLive } from "./rows/ingest-live.ts";
import { initialCold } from "./rows/initial-cold.ts";
import { initialWarm } from "./rows/initial-warm.ts";
import { live } from "./rows/live.ts";
import { push } from "./rows/push.ts";
import { start } from "./rows/start.ts";
import { toDevice } from "./rows/to-device.ts";
import { unchanged } from "./rows/unchanged.ts";
import { FULL, SMOKE } from "./sizes.ts";
import { accountBody } from "./upstream/rooms.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

/** In this order: rows that restart the serving process come after those that want it as it is. */
const MEASURES: readonly RowMeasure[] = [
  initialWarm,
  unchanged,
  extensions,
  push,
  toDevice,
  connectionState,
  live,
  beside,
  initialCold,
  ingestLive,
  start,
];

const startedMs = performance.now();
const progress = (line: string) => {
  process.stderr.write(`${((performance.now() - startedMs) / 1000).toFixed(1).padStart(6)} s  ${line}\n`);
};

async function measureAll(options: Options, stack: AsyncDisposableStack): Promise<Report> {
  const sizes = options.isSmoke ? SMOKE : FULL;
  const folder = await mkdtemp(join(tmpdir(), "slidecar-bench-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  // When root runs the bench, the database runs as another user, who must be able to pass through here.
  await chmod(folder, 0o755);
  const busyBefore = await neighbours();
  progress(`neighbours keep the processors under pressure for ${busyBefore} of the time`);
  progress(`a body of ${sizes.ownerRooms} rooms`);
  const bodyFile = join(folder, "owner.json");
  await pipeline(Readable.from(accountBody(OWNER, sizes.ownerRooms, sizes.coldUsers)), createWriteStream(bodyFile));
  const cluster = stack.use(await startCluster(folder));
  progress("bare mechanisms");
  const reference = await measureReference(cluster.admin);
  const upstream = stack.use(await startUpstream());
  await upstream.tell({ kind: "body", name: OWNER, file: bodyFile, rooms: sizes.ownerRooms });
  const databaseUrl = await cluster.create("bench");
  const { profileFolder, other } = options;
  const service = stack.use(new Service({ folder, databaseUrl, homeserverUrl: upstream.url, profileFolder }));
  const bench: Bench = { sizes, folder, cluster, upstream, databaseUrl, service, other, profileFolder, progress };
  const rows = await measureRows(bench, options.rows, (await stat(bodyFile)).size);
  const settings = [...(await settingsOf(cluster.admin)), ["processor pressure before the run", busyBefore] as const];
  return { rows, reference, settings, isSmoke: options.isSmoke, otherUrl: other?.url };
}

async function measureRows(bench: Bench, wanted: readonly string[], bodyBytes: number): Promise<readonly Row[]> {
  const { service, progress } = bench;
  await service.startTogether();
  progress(`ingest-bulk: ${Math.round(bodyBytes / 1e6)} MB`);
  const bulkPressure = pressureFromNow();
  const bulk = await ingestBulk(bench, bodyBytes);
  const rows: Row[] = [{ ...bulk, pressure: bulkPressure() }];
  await settle(bench);
  for (const { key, measure } of MEASURES) {
    if (wanted.length > 0 && !wanted.some((prefix) => key.startsWith(prefix))) continue;
    progress(key);
    const pressureOf = pressureFromNow();
    const measured = await measure(bench);
    const pressure = pressureOf();
    rows.push(...measured.map((row) => ({ ...row, pressure })));
  }
  return rows;
}

/** What the database does by itself within minutes of a large store, done at once, lest it falls into a measurement. */
async function settle({ databaseUrl, progress }: Bench): Promise<void> {
  progress("vacuum, analyze, checkpoint");
  await using db = openBenchDatabase(databaseUrl);
  await db.query({ text: "VACUUM (ANALYZE)" });
  await db.query({ text: "CHECKPOINT" });
}

class InterruptedError extends Error {
  override readonly name = "InterruptedError";
}

/** Rejects on Ctrl-C, and on an error that nobody waits for: what was started is ended all the same. */
function interrupted(): Promise<never> {
  return new Promise((_, reject) => {
    for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
      // For good: a second one, from a launcher that hands it on, must not cut the end short.
      process.on(signal, () => reject(new InterruptedError(`ended by ${signal}`)));
    }
    process.on("uncaughtException", reject);
    // A reader that has gone, such as head, needs no more lines.
    for (const stream of [process.stdout, process.stderr]) stream.on("error", () => {});
  });
}

async function run(options: Options): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const report = await Promise.race([measureAll(options, stack), interrupted()]);
  process.stdout.write(plainReport(report));
  if (options.isWritten) await writeFile(join(ROOT, "docs", "benchmarks.md"), markdownReport(report));
  const missed = report.rows.filter((row) => verdictOf(row) === "missed");
  if (missed.length > 0) {
    progress(`missed: ${missed.map(({ key }) => key).join(", ")}`);
    // A smoke run is too short, and its machine too busy, to judge by.
    if (!options.isSmoke) process.exitCode = 1;
  }
}

try {
  await run(parseOptions(process.argv.slice(2)));
} catch (error) {
  const isExpected = error instanceof UsageError || error instanceof InterruptedError;
  process.stderr.write(`bench: ${isExpected ? error.message : String((error as Error).stack ?? error)}\n`);
  process.exitCode = error instanceof UsageError ? 2 : 1;
}
