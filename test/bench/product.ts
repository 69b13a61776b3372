import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { cpuSeconds, peakBytes } from "./processes.ts";

export type Role = "all" | "client" | "intake";

/** A process of the product with the configuration that it has when nothing is configured, but for its addresses. */
export interface Product extends AsyncDisposable {
  readonly role: Role;
  readonly pid: number;
  readonly clientUrl: string;
  readonly internalUrl: string;
  /** When it was started, by `performance.now()`. */
  readonly spawnedMs: number;
  cpuSeconds(): number;
  /** The most memory that it has held at a time, in bytes. */
  peakBytes(): number;
  /** The end of what it logged. */
  log(): string;
}

export interface ProductOptions {
  readonly role: Role;
  readonly folder: string;
  readonly databaseUrl: string;
  readonly homeserverUrl: string;
  readonly profileFolder: string | undefined;
}

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const MAIN = join(ROOT, "src", "main.ts");

/** Longer: a hung process holds up the end. Shorter: one that ends in order is killed. */
const STOP_WITHIN_MS = 15_000;
const LOG_CHARACTERS = 3_000;

let started = 0;

export async function startProduct(options: ProductOptions): Promise<Product> {
  const { role, folder, databaseUrl, homeserverUrl, profileFolder } = options;
  started += 1;
  const name = `${role}-${started}`;
  const [clientPort, internalPort] = [await freePort(), await freePort()];
  const configFile = join(folder, `${name}.yaml`);
  const config = {
    homeserver: { url: homeserverUrl },
    database: { url: databaseUrl },
    secret: "a secret of the bench",
    listeners: [
      { port: clientPort, resources: ["client"] },
      { port: internalPort, resources: ["internal"] },
    ],
  };
  // YAML, since JSON is YAML.
  await writeFile(configFile, JSON.stringify(config));
  const logFile = join(folder, `${name}.log`);
  const log = openSync(logFile, "a");
  const profile =
    profileFolder === undefined
      ? []
      : ["--cpu-prof", `--cpu-prof-dir=${profileFolder}`, `--cpu-prof-name=${name}.cpuprofile`];
  const spawnedMs = performance.now();
  const child = spawn(
    process.execPath,
    ["--no-warnings", ...profile, MAIN, "start", "--role", role, "-c", configFile],
    {
      cwd: folder,
      stdio: ["ignore", log, log],
    },
  );
  closeSync(log);
  const pid = child.pid;
  if (pid === undefined) throw new Error(`no process could be started: ${process.execPath}`);
  return {
    role,
    pid,
    clientUrl: `http://127.0.0.1:${clientPort}`,
    internalUrl: `http://127.0.0.1:${internalPort}`,
    spawnedMs,
    cpuSeconds: () => cpuSeconds(pid),
    peakBytes: () => peakBytes(pid),
    log: () => readFileSync(logFile, "utf8").slice(-LOG_CHARACTERS),
    [Symbol.asyncDispose]: () => stop(child),
  };
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill("SIGTERM");
  const kill = setTimeout(() => child.kill("SIGKILL"), STOP_WITHIN_MS);
  await gone;
  clearTimeout(kill);
}

/** Asks until the answer is 200; resolves with the moment at which it was. */
export async function untilOk(url: string, product: Product, withinMs = 60_000): Promise<number> {
  const deadlineMs = performance.now() + withinMs;
  for (;;) {
    const status = await fetch(url).then(
      async (answer) => {
        await answer.arrayBuffer();
        return answer.status;
      },
      () => 0,
    );
    if (status === 200) return performance.now();
    if (performance.now() > deadlineMs) throw new Error(`${url} did not answer 200\n${product.log()}`);
    await pause(2);
  }
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port to be had");
  return address.port;
}
