// `npm run demo`: the whole service in front of a scripted homeserver with a lively account. Leaves nothing behind.
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { startHomeserver } from "../support/homeserver/start.ts";

/** Longer: somebody waits in front of a demo that is broken. Shorter: a slow machine never gets there. */
const START_LIMIT_MS = 120_000;
const POLL_MS = 100;

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";

const BODY = JSON.stringify({
  lists: {
    all: {
      ranges: [[0, 19]],
      timeline_limit: 1,
      required_state: [["m.room.name", ""]],
    },
  },
});

interface DemoOptions {
  readonly rooms: number;
  readonly eventsPerSecond: number;
  readonly seed: number;
  /** undefined: any free port. */
  readonly port: number | undefined;
}

function readOptions(argv: readonly string[]): DemoOptions {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      rooms: { type: "string", default: "300" },
      "events-per-second": { type: "string", default: "2" },
      seed: { type: "string", default: "1" },
      port: { type: "string" },
    },
  });
  const number = (name: string, text: string) => {
    const value = Number(text);
    if (!Number.isFinite(value) || value < 0) throw new Error(`--${name}: expected a number, got ${text}`);
    return value;
  };
  return {
    rooms: number("rooms", values.rooms),
    eventsPerSecond: number("events-per-second", values["events-per-second"]),
    seed: number("seed", values.seed),
    port: values.port === undefined ? undefined : number("port", values.port),
  };
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

function startSlidecar(config: string): { readonly child: ChildProcess } & AsyncDisposable {
  // A group of its own: Ctrl-C in the terminal reaches this program alone, which then ends everything in order.
  const child = spawn(process.execPath, [MAIN, "start", "-c", config], {
    stdio: ["ignore", "inherit", "inherit"],
    detached: true,
  });
  return {
    child,
    [Symbol.asyncDispose]: async () => {
      if (child.exitCode !== null || child.signalCode !== null) return;
      const gone = once(child, "exit");
      child.kill("SIGTERM");
      await gone;
    },
  };
}

async function untilReady(url: string, child: ChildProcess, stop: AbortSignal): Promise<void> {
  const limit = AbortSignal.any([stop, AbortSignal.timeout(START_LIMIT_MS)]);
  while (!limit.aborted) {
    if (child.exitCode !== null) throw new Error(`slidecar ended with exit code ${child.exitCode}`);
    const isReady = await fetch(`${url}/ready`).then(
      (response) => response.ok,
      () => false,
    );
    if (isReady) return;
    await sleep(POLL_MS);
  }
  if (!stop.aborted) throw new Error("slidecar was not ready in time");
}

async function run(options: DemoOptions, stop: AbortSignal): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(join(tmpdir(), "slidecar-demo-"));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const { rooms, eventsPerSecond, seed } = options;
  const homeserver = stack.use(await startHomeserver({ rooms, eventsPerSecond, seed }));
  const port = options.port ?? (await freePort());
  const internalPort = await freePort();
  const config = join(folder, "config.yaml");
  await writeFile(
    config,
    `homeserver: { url: "${homeserver.url}" }
data_dir: ${JSON.stringify(join(folder, "data"))}
listeners:
  - { port: ${port}, bind: 127.0.0.1, resources: [client] }
  - { port: ${internalPort}, bind: 127.0.0.1, resources: [internal] }
logging: { level: warn, format: pretty }
`,
  );
  const { child } = stack.use(startSlidecar(config));
  await untilReady(`http://127.0.0.1:${internalPort}`, child, stop);
  if (stop.aborted) return;
  announce(`http://127.0.0.1:${port}`, homeserver.account?.token ?? "", `http://127.0.0.1:${internalPort}`);
  const ended = once(child, "exit").then(() => {
    if (!stop.aborted) throw new Error("slidecar ended");
  });
  await Promise.race([ended, once(stop, "abort")]);
}

function announce(url: string, token: string, internalUrl: string): void {
  const curl = (query: string) =>
    `  curl -s -H 'Authorization: Bearer ${token}' -H 'Content-Type: application/json' \\\n` +
    `    -d '${BODY}' \\\n    '${url}${SYNC_PATH}${query}'`;
  process.stdout.write(`ready
url=${url}
token=${token}

The 20 newest rooms:
${curl("")}

With the pos of that answer this waits until a room changes:
${curl("?timeout=30000&pos=POS")}

Metrics: ${internalUrl}/metrics   Ctrl-C ends everything and leaves nothing.
`);
}

const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
try {
  await run(readOptions(process.argv.slice(2)), stop.signal);
} catch (error) {
  process.stderr.write(`demo: ${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
