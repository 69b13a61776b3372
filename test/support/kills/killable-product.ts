// The product as an operator starts it, with both of its processes in reach of a kill.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readdirSync, readFileSync } from "node:fs";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { answers, freePort, until } from "../program.ts";

const MAIN = fileURLToPath(new URL("../../../src/main.ts", import.meta.url));
const LOG_LINES = 40;
/** Of a run that failed something may be left that does not end in order. */
const STOP_LIMIT_MS = 20_000;

export interface KillableProduct extends AsyncDisposable {
  readonly url: string;
  /** SIGKILL, within this turn of the event loop. */
  killServing(): void;
  killIntake(): void;
  /** Starts it when it does not run, and waits until it serves and takes data in. */
  revive(): Promise<void>;
  /** In order: SIGTERM, and a new start. */
  restart(): Promise<void>;
  /** How often the serving process that runs now had to start its intake process again. */
  intakeRestarts(): Promise<number>;
  /** The end of what it logged, a line each. */
  log(): readonly string[];
}

/** A product that ends more often while it starts does not end because of its database. */
const MAX_STARTS = 3;

export interface ProductOptions {
  readonly homeserverUrl: string;
  readonly databaseUrl: string;
  readonly timelineLimit: number;
  /** How long a device is polled after its last request, as configured. */
  readonly idleAfter?: string;
}

export async function startKillableProduct(options: ProductOptions): Promise<KillableProduct> {
  const folder = await mkdtemp(join(tmpdir(), "slidecar-kills-product-"));
  const [clientPort, internalPort] = [await freePort(), await freePort()];
  const configFile = join(folder, "config.yaml");
  const logFile = join(folder, "product.log");
  const config = {
    homeserver: { url: options.homeserverUrl },
    database: { url: options.databaseUrl },
    secret: "a secret that outlives kills",
    polling: {
      timeline_limit: options.timelineLimit,
      ...(options.idleAfter !== undefined && { idle_after: options.idleAfter }),
    },
    listeners: [
      { port: clientPort, resources: ["client"] },
      { port: internalPort, resources: ["internal"] },
    ],
  };
  // YAML, since JSON is YAML.
  await writeFile(configFile, JSON.stringify(config));
  const log = () => readFileSync(logFile, "utf8").trimEnd().split("\n").slice(-LOG_LINES).map(shortened);
  let serving: ChildProcess | undefined;
  const isGone = () => serving === undefined || serving.exitCode !== null || serving.signalCode !== null;
  const revive = async () => {
    // One that was killed may not have heard of it yet.
    if (serving?.killed === true && !isGone()) await once(serving, "exit");
    let starts = 0;
    await until(() => {
      if (isGone()) {
        // One whose database dies while it starts ends, and is started again as by any service manager.
        if (starts === MAX_STARTS) throw new Error(["the product ended", ...log()].join("\n"));
        starts += 1;
        serving = spawnProduct(configFile, folder, logFile);
      }
      return answers(`http://127.0.0.1:${internalPort}/ready`);
    }, "the product is ready");
  };
  const end = async () => {
    if (serving === undefined || isGone()) return;
    const gone = once(serving, "exit");
    serving.kill("SIGTERM");
    const kill = setTimeout(() => serving?.kill("SIGKILL"), STOP_LIMIT_MS);
    await gone;
    clearTimeout(kill);
  };
  await revive();
  return {
    url: `http://127.0.0.1:${clientPort}`,
    killServing: () => serving?.kill("SIGKILL"),
    killIntake: () => {
      for (const pid of intakesOf(serving?.pid)) kill(pid);
    },
    revive,
    restart: async () => {
      await end();
      await revive();
    },
    intakeRestarts: async () => {
      const text = await (await fetch(`http://127.0.0.1:${internalPort}/metrics`)).text();
      return Number(/^slidecar_intake_restarts_total (\d+)$/m.exec(text)?.[1]);
    },
    log,
    async [Symbol.asyncDispose]() {
      await end();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** Without the stacks, which are long and all alike. */
function shortened(line: string): string {
  if (!line.startsWith("{")) return line;
  const { time, role, msg, err, level: _level, ...fields } = JSON.parse(line) as Record<string, unknown>;
  const message = typeof err === "object" && err !== null && "message" in err ? err.message : "";
  return [time, role, msg, message, JSON.stringify(fields)].join(" ");
}

function spawnProduct(configFile: string, cwd: string, logFile: string): ChildProcess {
  const log = openSync(logFile, "a");
  const env = { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "" };
  const args = ["--no-warnings", MAIN, "start", "-c", configFile];
  const child = spawn(process.execPath, args, { cwd, env, stdio: ["ignore", log, log] });
  closeSync(log);
  return child;
}

function kill(pid: number): void {
  try {
    process.kill(pid, "SIGKILL");
  } catch (error) {
    // It ended by itself.
    if (!(error instanceof Error && "code" in error && error.code === "ESRCH")) throw error;
  }
}

/** Intake processes that this one started. */
function intakesOf(parent: number | undefined): number[] {
  if (parent === undefined) return [];
  return readdirSync("/proc").flatMap((entry) => {
    if (!/^\d+$/.test(entry)) return [];
    try {
      const stat = readFileSync(`/proc/${entry}/stat`, "utf8");
      const isChild = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]) === parent;
      return isChild && readFileSync(`/proc/${entry}/cmdline`, "utf8").includes("intake-child") ? [Number(entry)] : [];
    } catch {
      return []; // It ended while we looked.
    }
  });
}
