import { execFileSync } from "node:child_process";
import { readFileSync } from "node:fs";
import { cpus, release, totalmem } from "node:os";
import { dirname } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import type { Database } from "../../src/store/database.ts";

/** Names and values of what a measurement depends on. */
export type Settings = readonly (readonly [name: string, value: string])[];

/** Settings of the database that these numbers depend on. */
const SHOWN = [
  "server_version",
  "shared_buffers",
  "fsync",
  "synchronous_commit",
  "full_page_writes",
  "wal_level",
  "max_wal_size",
  "work_mem",
  "max_parallel_workers_per_gather",
  "jit",
  "autovacuum",
  "max_connections",
];

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));

export async function settingsOf(db: Database): Promise<Settings> {
  const processors = cpus();
  const shown: [string, string][] = [];
  for (const name of SHOWN) {
    const [row] = await db.query<Record<string, string>>({ text: `SHOW ${name}` });
    shown.push([`database: ${name}`, row?.[name] ?? ""]);
  }
  return [
    ["commit", commit()],
    ["date", new Date().toISOString().slice(0, 10)],
    ["processor", `${processors.length} × ${processors[0]?.model.trim()}`],
    ["memory", `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ["system", `Linux ${release()}`],
    ["Node", process.version],
    [
      "product",
      "as configured by default, but for addresses; serving and intake each a process, and where one is started anew, each a program",
    ],
    ...shown,
  ];
}

/** Longer: a run begins later. Shorter: a neighbour that pauses is overlooked. */
const LOOK_AROUND_MS = 3_000;

/** How busy others keep the machine, while the bench does nothing. */
export async function neighbours(): Promise<string> {
  const share = pressureFromNow();
  await pause(LOOK_AROUND_MS);
  return share();
}

/**
 * The result says for how much of the time from now on something was ready to run and had no processor: whatever its
 * latency is, it was waiting for a neighbour or for the bench itself.
 */
export function pressureFromNow(): () => string {
  const [startedUs, startedMs] = [stalledUs(), performance.now()];
  return () => {
    const [endUs, endMs] = [stalledUs(), performance.now()];
    if (startedUs === undefined || endUs === undefined) return "unknown";
    return `${Math.round((endUs - startedUs) / (endMs - startedMs) / 10)} %`;
  };
}

/** Pressure stall information of Linux; some kernels have none. */
function stalledUs(): number | undefined {
  try {
    return Number(/^some .*total=(\d+)/m.exec(readFileSync("/proc/pressure/cpu", "utf8"))?.[1]);
  } catch {
    return undefined;
  }
}

function commit(): string {
  const git = (...args: string[]) =>
    execFileSync("git", args, { cwd: ROOT, encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
  try {
    const changed = git("status", "--porcelain", "--", "src") === "" ? "" : " with changes in src";
    return `${git("rev-parse", "--short=12", "HEAD")}${changed}`;
  } catch {
    return `unknown, version ${(JSON.parse(readFileSync(`${ROOT}/package.json`, "utf8")) as { version: string }).version}`;
  }
}
