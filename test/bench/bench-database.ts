import { join } from "node:path";
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
    cpuSeconds: () => cpuSecondsOfFamily(pid),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

export const openBenchDatabase = (url: string): Database => openDatabase({ url, poolSize: 3, onError: () => {} });
