// The product as an operator starts it, in front of a homeserver: a child process with a configuration file and its embedded database.
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import type { Front } from "./front.ts";
import { type Metrics, parseMetrics } from "./prometheus.ts";
import { freePort, type ServerProcess, startServerProcess } from "./server-process.ts";
import { REPOSITORY_ROOT } from "./synapse-install.ts";

/** The first start makes a database cluster. */
const READY_WITHIN_MS = 60_000;
const STOP_WITHIN_MS = 30_000;
/** How long a process may take to vanish after SIGKILL. */
const GONE_WITHIN_MS = 10_000;
const GONE_POLL_MS = 20;

export type Slidecar = Front & {
  /** What the internal listener shows under `/metrics`. */
  metrics(): Promise<Metrics>;
};

export type SlidecarOptions = {
  homeserverUrl: string;
  /** Merged over the configuration file's top-level keys. */
  config?: Readonly<Record<string, unknown>>;
};

/** Starts Slidecar on 127.0.0.1 and resolves when `/ready` answers. `stop`, also by disposal, leaves neither process nor file. */
export async function startSlidecar(options: SlidecarOptions): Promise<Slidecar & AsyncDisposable> {
  const folder = await mkdtemp(join(tmpdir(), "slidecar-"));
  // When root starts Slidecar, its database runs as another user, who must be able to pass through here.
  await chmod(folder, 0o755);
  const dataDir = join(folder, "data");
  const [clientPort, internalPort] = [await freePort(), await freePort()];
  const configFile = join(folder, "config.yaml");
  await writeFile(configFile, JSON.stringify(configuration(options, dataDir, clientPort, internalPort), null, 2));
  const internal = `http://127.0.0.1:${internalPort}`;
  const start = () => startProduct(configFile, folder, `${internal}/ready`);
  let server: ServerProcess | undefined;
  const logTail = () => server?.logTail() ?? "";
  const stop = async () => {
    try {
      await stopProduct(server, dataDir);
    } finally {
      await endDatabase(dataDir);
      await rm(folder, { recursive: true, force: true });
    }
  };
  try {
    server = await start();
  } catch (error) {
    await stop();
    throw error;
  }
  return {
    name: "Slidecar",
    url: `http://127.0.0.1:${clientPort}`,
    metrics: async () => {
      const answer = await fetch(`${internal}/metrics`);
      if (!answer.ok) throw new Error(`/metrics was answered ${answer.status}`);
      return parseMetrics(await answer.text());
    },
    kill: async () => {
      if (server !== undefined) await killTree(server.pid);
    },
    restart: async () => {
      server = await start();
    },
    logTail,
    stop,
    [Symbol.asyncDispose]: stop,
  };
}

/** YAML, since JSON is YAML. */
function configuration(options: SlidecarOptions, dataDir: string, clientPort: number, internalPort: number) {
  return {
    homeserver: { url: options.homeserverUrl },
    data_dir: dataDir,
    listeners: [
      { port: clientPort, bind: "127.0.0.1", resources: ["client"] },
      { port: internalPort, bind: "127.0.0.1", resources: ["internal"] },
    ],
    client: { passthrough: true },
    ...options.config,
  };
}

function startProduct(configFile: string, folder: string, readyUrl: string): Promise<ServerProcess> {
  return startServerProcess({
    name: "Slidecar",
    command: process.execPath,
    args: [join("scripts", "node24.mjs"), join("src", "main.ts"), "start", "-c", configFile],
    cwd: REPOSITORY_ROOT,
    // The variables that jest sets would reach the product otherwise.
    env: { NODE_ENV: "", NODE_OPTIONS: "", JEST_WORKER_ID: "" },
    logFile: join(folder, "slidecar.log"),
    readyUrl,
    readyWithinMs: READY_WITHIN_MS,
    detached: true,
  });
}

/** SIGTERM; what an orderly stop leaves running is an error. */
async function stopProduct(server: ServerProcess | undefined, dataDir: string): Promise<void> {
  if (server === undefined || server.hasExited()) return;
  try {
    await server.stop(STOP_WITHIN_MS);
    const left = await postmasters(dataDir);
    if (left.length > 0) throw new Error(`Slidecar ended and left its database running\n${server.logTail()}`);
  } finally {
    await killTree(server.pid);
  }
}

type Running = { pid: number; parent: number; group: number; name: string };

/**
 * SIGKILL for the launcher, the product and its children at once, as when the machine runs out of memory; the database's processes are
 * left alone, since the product has to find its living postmaster again. Resolves when they are gone.
 */
async function killTree(root: number): Promise<void> {
  const victims = treeOf(root).filter((running) => running.name !== "postgres");
  for (const { pid } of victims) signal(pid, "SIGKILL");
  await untilGone(victims.map(({ pid }) => pid));
}

/** Every process that `root` started, also those whose parent is gone but that are still in the group of `root`. */
function treeOf(root: number): Running[] {
  const all = runningProcesses();
  const members = new Map(all.filter(({ pid, group }) => pid === root || group === root).map((r) => [r.pid, r]));
  let size: number;
  do {
    size = members.size;
    for (const running of all) if (members.has(running.parent)) members.set(running.pid, running);
  } while (members.size > size);
  return [...members.values()];
}

function runningProcesses(): Running[] {
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      // pid (name) state parent group …; the name may hold blanks and brackets.
      const parts = /^(\d+) \((.*)\) (\S) (\d+) (\d+) /s.exec(readFileSync(`/proc/${entry}/stat`, "utf8"));
      if (parts === null || parts[3] === "Z") return [];
      return [{ pid: Number(parts[1]), parent: Number(parts[4]), group: Number(parts[5]), name: parts[2] ?? "" }];
    } catch {
      return []; // It ended while we looked.
    }
  });
}

async function untilGone(pids: readonly number[]): Promise<void> {
  const deadline = performance.now() + GONE_WITHIN_MS;
  for (;;) {
    const alive = runningProcesses().filter(({ pid }) => pids.includes(pid));
    if (alive.length === 0) return;
    if (performance.now() > deadline) throw new Error(`still running after SIGKILL: ${JSON.stringify(alive)}`);
    await delay(GONE_POLL_MS);
  }
}

/** After a kill nobody stops the postmaster of the data folder. */
async function endDatabase(dataDir: string): Promise<void> {
  for (const pid of await postmasters(dataDir)) {
    signal(pid, "SIGQUIT");
    await untilGone([pid]);
  }
}

/** The process ids in the `postmaster.pid` files below the folder. */
async function postmasters(dataDir: string): Promise<number[]> {
  if (!existsSync(dataDir)) return [];
  const names = readdirSync(dataDir, { recursive: true, encoding: "utf8" });
  const files = names.filter((name) => name.endsWith("postmaster.pid")).map((name) => join(dataDir, name));
  const texts = await Promise.all(files.map((file) => readFile(file, "utf8")));
  return texts.map((text) => Number(text.split("\n")[0])).filter((pid) => pid > 0);
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name);
  } catch (error) {
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}
