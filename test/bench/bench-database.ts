import { execFile } from "node:child_process";
import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { startEmbeddedPostgres } from "../../src/store/embedded-postgres.ts";
import { readPostmaster } from "../../src/store/embedded-postgres-folder.ts";
import { migrate } from "../../src/store/migrate.ts";
import { databaseUrl } from "../support/database-url.ts";
import { cpuSecondsOfFamily } from "./processes.ts";

/** The embedded database as the product starts it. */
export interface BenchCluster extends AsyncDisposable {
  readonly admin: Database;
  /** Makes a database with our schema. */
  create(name: string): Promise<string>;
  /** Whatever is read of the database next comes from the disk, as far as this machine caches it. */
  dropPages(databaseUrl: string): Promise<void>;
  /** Processor seconds of the server with all its connections. */
  cpuSeconds(): number;
}

export async function startCluster(folder: string): Promise<BenchCluster> {
  await using starting = new AsyncDisposableStack();
  const dataDir = join(folder, "postgres");
  const cluster = starting.use(await startEmbeddedPostgres({ dataDir, log: () => {} }));
  const admin = starting.use(openBenchDatabase(cluster.url));
  const pid = (await readPostmaster(dataDir))?.pid;
  if (pid === undefined) throw new Error(`no server runs in ${dataDir}`);
  const owned = starting.move();
  return {
    admin,
    async create(name) {
      await admin.query({ text: `CREATE DATABASE ${name} TEMPLATE template0` });
      const url = databaseUrl(cluster.url, name);
      await using db = openBenchDatabase(url);
      await migrate(db);
      return url;
    },
    dropPages: (url) => dropPages(url, dataDir),
    cpuSeconds: () => cpuSecondsOfFamily(pid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const openBenchDatabase = (url: string): Database => openDatabase({ url, poolSize: 3, onError: () => {} });

/** Of PostgreSQL's own memory of pages, and of the kernel's. What has not been written to the disk cannot be dropped. */
async function dropPages(url: string, dataDir: string): Promise<void> {
  await using db = openBenchDatabase(url);
  await db.query({ text: "CREATE EXTENSION IF NOT EXISTS pg_buffercache" });
  await db.query({ text: "CHECKPOINT" });
  await db.query({ text: "SELECT pg_buffercache_evict_all()" });
  const [own] = await db.query<{ folder: string }>({
    text: "SELECT 'base/' || oid AS folder FROM pg_database WHERE datname = current_database()",
  });
  const folder = join(dataDir, own?.folder ?? "");
  const files = (await readdir(folder)).filter((name) => /^\d/.test(name)).map((name) => join(folder, name));
  // Of each file without a byte of it: the kernel is told that its pages are not needed (posix_fadvise). Some end meanwhile.
  const script = 'for file; do [ ! -s "$file" ] || dd if="$file" iflag=nocache count=0 status=none; done';
  try {
    await run("sh", ["-c", script, "sh", ...files]);
  } catch (error) {
    throw new Error(
      `the kernel's pages of the database could not be dropped: ${(error as { stderr?: string }).stderr}`,
    );
  }
}

const run = promisify(execFile);
