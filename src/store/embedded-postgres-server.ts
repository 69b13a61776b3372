import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { EmbeddedPostgresError } from "./embedded-postgres-error.ts";
import { isServing, removeSocketFolder, SUPERUSER } from "./embedded-postgres-folder.ts";
import { codeOf, hasCode } from "./error-code.ts";

/** A server process, ours or one that an earlier run of the program left. */
export interface Server {
  readonly pid: number;
  readonly folder: string;
  readonly socketFolder: string;
}

/** How long a server may take to become ready; recovery after a crash takes longest. */
const READY_TIMEOUT_MS = 300_000;
/** How long it may take to end in order. Then it is ended at once and recovers at its next start. */
const STOP_TIMEOUT_MS = 30_000;
/** How often it is asked. Larger: starts take longer; smaller: more CPU meanwhile. */
const ASK_INTERVAL_MS = 10;
/** How long the lock of a program that was just killed may stay. Smaller: a quick restart fails. */
const TAKE_OVER_TIMEOUT_MS = 2_000;
/** The lock of the one program that uses the cluster. */
const OWNER_LOCK = [7304983, 0];
/** Lines of the log that an error quotes. */
const TAIL_LINES = 5;
const NOBODY_THERE: readonly string[] = ["ENOENT", "ECONNREFUSED", "ECONNRESET", "EPIPE"];

/**
 * A host name is there because URL parsers want one; `host` in the query wins. Port and encryption are named so that
 * variables of the environment (PGPORT, PGSSLMODE), which are for other databases, do not count.
 */
export const urlOf = ({ socketFolder }: Server) =>
  `postgresql://${SUPERUSER}@localhost:5432/postgres?host=${encodeURIComponent(socketFolder)}&sslmode=disable`;

/** Starts a process that outlives this one; hands on its log and keeps the last lines. */
export function spawnServer(
  { command, args, options }: { command: string; args: string[]; options: object },
  log: (line: string) => void,
): { child: ChildProcess; tail: readonly string[] } {
  // In a session of its own: Ctrl-C is for us, and we end the server when nobody needs it any more.
  const child = spawn(command, args, { ...options, detached: true, stdio: ["ignore", "ignore", "pipe"] });
  const tail: string[] = [];
  child.on("error", (error) => tail.push(error.message));
  if (child.stderr === null) return { child, tail };
  createInterface({ input: child.stderr }).on("line", (line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    log(line);
  });
  // Neither the server nor its log keeps this process alive.
  child.unref();
  if ("unref" in child.stderr && typeof child.stderr.unref === "function") child.stderr.unref();
  return { child, tail };
}

/**
 * Waits until the server answers, and opens the connection that makes this program the only one: its lock ends with it,
 * however this process ends. undefined: the server is gone. Throws when another program has the lock.
 */
export async function takeOwnership(
  server: Server,
  isAlive: () => boolean | Promise<boolean>,
): Promise<Client | undefined> {
  for (let waitedMs = 0; waitedMs < READY_TIMEOUT_MS; waitedMs += ASK_INTERVAL_MS) {
    try {
      return await lockWith(await connectTo(server), server);
    } catch (error) {
      if (!isNotYet(error)) throw error;
      if (!(await isAlive())) return undefined;
    }
    await pause(ASK_INTERVAL_MS);
  }
  throw new EmbeddedPostgresError(`the embedded PostgreSQL (process ${server.pid}) does not answer; end that process`);
}

async function connectTo(server: Server): Promise<Client> {
  const client = new Client({ connectionString: urlOf(server), application_name: "slidecar owner" });
  client.on("error", () => {});
  try {
    await client.connect();
    return client;
  } catch (cause) {
    client.end().catch(() => {});
    if (isNotYet(cause)) throw cause;
    const message = `the PostgreSQL in ${server.folder} lets nobody in (${String(cause)}); set another data_dir`;
    throw new EmbeddedPostgresError(message, { cause });
  }
}

/** No socket yet, nobody behind it, a server that starts, ends or crashed (class 57), or one that closed the connection. */
function isNotYet(error: unknown): boolean {
  if (error instanceof EmbeddedPostgresError) return false;
  const code = codeOf(error);
  return code === undefined || code.startsWith("57P") || NOBODY_THERE.includes(code);
}

async function lockWith(client: Client, { folder }: Server): Promise<Client> {
  for (let waitedMs = 0; waitedMs < TAKE_OVER_TIMEOUT_MS; waitedMs += ASK_INTERVAL_MS) {
    const { rows } = await client.query("SELECT pg_try_advisory_lock($1, $2) AS is_mine", OWNER_LOCK);
    if (rows[0]?.is_mine === true) return client;
    await pause(ASK_INTERVAL_MS);
  }
  await client.end();
  throw new EmbeddedPostgresError(`another Slidecar uses ${folder}; end it or set another data_dir`);
}

/** Ends the server: SIGINT ends connections and stores all; SIGQUIT ends it at once, and the next start recovers. */
export async function stopServer({ folder, pid, socketFolder }: Server): Promise<void> {
  for (const signal of ["SIGINT", "SIGQUIT"] as const) {
    if (!(await isServing(folder, pid))) break;
    signalTo(pid, signal);
    for (let waitedMs = 0; waitedMs < STOP_TIMEOUT_MS && (await isServing(folder, pid)); waitedMs += ASK_INTERVAL_MS) {
      await pause(ASK_INTERVAL_MS);
    }
  }
  await removeSocketFolder(socketFolder);
}

function signalTo(pid: number, signal: "SIGINT" | "SIGQUIT"): void {
  try {
    process.kill(pid, signal);
  } catch (error) {
    // It ended in the meantime.
    if (!hasCode(error, "ESRCH")) throw error;
  }
}
