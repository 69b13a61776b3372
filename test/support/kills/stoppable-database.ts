// A Postgres of its own that can be stopped hard, at any moment, and started again.
import { readFileSync } from "node:fs";
import { chmod, mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { startEmbeddedPostgres } from "../../../src/store/embedded-postgres.ts";
import { valueParsers } from "../../../src/store/value-parsers.ts";

/** Nothing is lost with a process, only with the machine: files need no flush. Commits are as durable as an operator has them. */
const SETTINGS = { fsync: "off", max_connections: "100" };

/** Longer: a database that never comes back holds up the run. */
const START_LIMIT_MS = 60_000;

/** SIGKILL for the postmaster alone, or its own immediate shutdown, which takes all its processes along. */
export type HardStop = "postmaster" | "immediate";

export interface StoppableDatabase extends AsyncDisposable {
  /** Of the Unix socket. */
  socketPath(): string;
  /** How the product reaches it through a port of this machine. */
  urlAt(port: number): string;
  /** Within this turn of the event loop. */
  stop(how: HardStop): void;
  /** After a stop. */
  startAgain(): Promise<void>;
  query<Row extends object>(text: string, values?: readonly unknown[]): Promise<Row[]>;
}

type Running = Awaited<ReturnType<typeof startEmbeddedPostgres>>;

export async function startStoppableDatabase(): Promise<StoppableDatabase> {
  const folder = await mkdtemp(join(tmpdir(), "slidecar-kills-"));
  await chmod(folder, 0o755);
  const dataDir = join(folder, "postgres");
  const native = process.env.SLIDECAR_TEST_POSTGRES;
  const options = { dataDir, log: () => undefined, settings: SETTINGS, ...(native !== undefined && { native }) };
  let running: Running | undefined = await startEmbeddedPostgres(options);
  let { url } = running;
  const socketPath = () => `${new URL(url).searchParams.get("host")}/.s.PGSQL.5432`;
  return {
    socketPath,
    urlAt: (port) => {
      const { username, pathname } = new URL(url);
      return `postgresql://${username}@127.0.0.1:${port}${pathname}?sslmode=disable`;
    },
    stop: (how) => {
      const pid = Number(readFileSync(join(dataDir, "postmaster.pid"), "utf8").split("\n")[0]);
      process.kill(pid, how === "postmaster" ? "SIGKILL" : "SIGQUIT");
    },
    startAgain: async () => {
      const limit = AbortSignal.timeout(START_LIMIT_MS);
      if (running !== undefined) await lossOf(running);
      await running?.[Symbol.asyncDispose]();
      running = undefined;
      while (running === undefined) {
        running = await startEmbeddedPostgres(options).catch((error: unknown) => {
          // Processes of the one that was killed may still be there.
          if (limit.aborted) throw error;
          return undefined;
        });
        if (running === undefined) await pause(20);
      }
      url = running.url;
    },
    query: async <Row extends object>(text: string, values: readonly unknown[] = []) => {
      const client = new Client({ connectionString: url, types: valueParsers });
      client.on("error", () => undefined);
      try {
        await client.connect();
        return (await client.query<Row>(text, [...values])).rows;
      } finally {
        await client.end().catch(() => undefined);
      }
    },
    async [Symbol.asyncDispose]() {
      await running?.[Symbol.asyncDispose]();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

const lossOf = ({ lost }: Running): Promise<void> =>
  new Promise((resolve) => {
    if (lost.aborted) resolve();
    else lost.addEventListener("abort", () => resolve(), { once: true });
  });
