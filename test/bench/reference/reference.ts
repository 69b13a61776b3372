import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import type { Database } from "../../../src/store/database.ts";
import { cpuSeconds } from "../processes.ts";
import { quantile } from "../statistics.ts";
import { call, keptConnections } from "../sync-client.ts";

/**
 * Work that has nothing of the product in it, and that was timed on the machine on which the targets were set: an answer that is
 * there already, by Express, in processor time; a row that is stored without waiting for the disk; the search for the newest
 * rooms; the making of a body of events.
 */
export type BareName = "answer" | "append" | "scan" | "splice";

export interface Bare {
  readonly what: string;
  /** On the machine of the targets, in microseconds. */
  readonly thereUs: number;
  /** On this one, in microseconds. */
  readonly hereUs: number;
}

export type Reference = Readonly<Record<BareName, Bare>>;

/** How many times as long as where the targets were set these take here, together. */
export function slowness(reference: Reference, names: readonly BareName[]): number {
  const sum = (of: (bare: Bare) => number) => names.reduce((us, name) => us + of(reference[name]), 0);
  return sum(({ hereUs }) => hereUs) / sum(({ thereUs }) => thereUs);
}

/** Result in microseconds. */
type Measure = (db: Database) => Promise<number>;

const SERVER = fileURLToPath(new URL("./server.ts", import.meta.url));

/** Each is the median of so many runs, as there. */
const RUNS = 3;
/** Of the first run nothing counts: code is compiled and connections are opened meanwhile. */
const WARM_UP_RUNS = 1;

const CALLERS = 20;
const CALLS_EACH = 100;
const SCANS = 2_000;
const SCANNED_ROOMS = 10_000;
const WINDOW = 20;
const APPENDS = 500;
const APPENDED = Buffer.alloc(240, 7);
const SPLICES = 200;
/** 500 KB, as 400 events. */
const SPLICED = Array.from({ length: 400 }, (_, index) => Buffer.alloc(1_250, index));

export async function measureReference(db: Database): Promise<Reference> {
  const measured = async (what: string, thereUs: number, measure: Measure): Promise<Bare> => {
    const runs: number[] = [];
    for (let run = 0; run < WARM_UP_RUNS + RUNS; run += 1) runs.push(await measure(db));
    return { what, thereUs, hereUs: quantile(runs.slice(WARM_UP_RUNS), 0.5) };
  };
  return {
    answer: await measured("an answer of 40 KB by Express, of CPU, 20 at once", 31, expressCpuUs),
    append: await measured("a row of 240 B appended, not waiting for the disk", 40, appendUs),
    scan: await measured("the newest 20 of 10,000 rooms", 30, async () => scanUs()),
    splice: await measured("400 events of 500 KB made one body", 133, async () => spliceUs()),
  };
}

async function expressCpuUs(): Promise<number> {
  const server = fork(SERVER, { execArgv: ["--no-warnings"] });
  const gone = once(server, "exit");
  const agent = keptConnections(false);
  try {
    const [{ port }] = (await once(server, "message")) as [{ port: number }];
    const url = `http://127.0.0.1:${port}/`;
    const all = () => Promise.all(Array.from({ length: CALLERS }, () => callInTurn(url, agent)));
    await all();
    const before = cpuSeconds(server.pid ?? 0);
    await all();
    return ((cpuSeconds(server.pid ?? 0) - before) * 1e6) / (CALLERS * CALLS_EACH);
  } finally {
    agent.destroy();
    server.disconnect();
    await gone;
  }
}

async function callInTurn(url: string, agent: ReturnType<typeof keptConnections>): Promise<void> {
  for (let count = 0; count < CALLS_EACH; count += 1) await call({ url, agent });
}

async function appendUs(db: Database): Promise<number> {
  await db.query({ text: "CREATE TABLE IF NOT EXISTS bare_appends (n bigserial PRIMARY KEY, bytes bytea NOT NULL)" });
  const append = {
    name: "bare-append",
    text: "INSERT INTO bare_appends (bytes) SELECT $1 FROM set_config('synchronous_commit', 'off', true)",
    values: [APPENDED],
  };
  const times: number[] = [];
  for (let count = 0; count < APPENDS; count += 1) {
    const startedMs = performance.now();
    await db.query(append);
    times.push((performance.now() - startedMs) * 1000);
  }
  await db.query({ text: "DROP TABLE bare_appends" });
  return quantile(times, 0.5);
}

function scanUs(): number {
  const rooms = Int32Array.from({ length: SCANNED_ROOMS }, (_, index) => index);
  // As scattered as rooms by their last message are, and the same in each run.
  const activity = Float64Array.from(rooms, (room) => (room * 7_919) % SCANNED_ROOMS);
  const newest = new Float64Array(WINDOW);
  const startedMs = performance.now();
  for (let count = 0; count < SCANS; count += 1) findNewest(rooms, activity, newest);
  const us = ((performance.now() - startedMs) * 1000) / SCANS;
  if (newest[0] !== SCANNED_ROOMS - 1) throw new Error("the scan did not find the newest room");
  return us;
}

/** Not by the product's own search: a slower one would make this machine look slower. `newest` is sorted, the newest first. */
function findNewest(rooms: Int32Array, activity: Float64Array, newest: Float64Array): void {
  newest.fill(-1);
  const last = newest.length - 1;
  for (let index = 0; index < rooms.length; index += 1) {
    const activeAt = activity[rooms[index] ?? 0] ?? 0;
    if (activeAt <= (newest[last] ?? 0)) continue;
    let slot = last;
    for (; slot > 0 && (newest[slot - 1] ?? 0) < activeAt; slot -= 1) newest[slot] = newest[slot - 1] ?? 0;
    newest[slot] = activeAt;
  }
}

function spliceUs(): number {
  const startedMs = performance.now();
  let bytes = 0;
  for (let count = 0; count < SPLICES; count += 1) bytes += Buffer.concat(SPLICED).length;
  if (bytes === 0) throw new Error("nothing was put together");
  return ((performance.now() - startedMs) * 1000) / SPLICES;
}
