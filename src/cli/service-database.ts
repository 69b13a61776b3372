import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { Logger } from "../logging/logger.ts";
import { openDatabase } from "../store/database.ts";
import { startEmbeddedPostgres } from "../store/embedded-postgres.ts";
import { migrate } from "../store/migrate.ts";
import { checkCanary } from "../store/secret-canary.ts";
import { loadOrCreateSecret } from "../store/secret-file.ts";
import { createSecrets } from "../store/secrets.ts";

export interface ServiceDatabase extends AsyncDisposable {
  readonly url: string;
  readonly poolSize: number;
  readonly secret: string;
  /** Aborts when a database of our own ended. */
  readonly lost: AbortSignal | undefined;
}

/** Opens the configured database, or starts the embedded one in the data folder, and finds the secret that goes with it. */
export async function openServiceDatabase(config: Config, log: Logger): Promise<ServiceDatabase> {
  const { poolSize } = config.database;
  if (config.database.kind === "external") {
    const secret = config.secret ?? (await loadOrCreateSecret(config.dataDir));
    return {
      url: config.database.url,
      poolSize,
      secret,
      lost: undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  await mkdir(config.dataDir, { recursive: true });
  const secret = config.secret ?? (await loadOrCreateSecret(config.dataDir));
  const postgres = await startEmbeddedPostgres({
    dataDir: join(config.dataDir, "postgres"),
    log: (line) => log.debug({ database: "embedded", reason: line }, "database server"),
  });
  return {
    url: postgres.url,
    poolSize,
    secret,
    lost: postgres.lost,
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}

/** Brings the schema up to what this program needs, and makes sure that the secret is the database's. */
export async function prepareDatabase(database: ServiceDatabase, log: Logger): Promise<{ from: number; to: number }> {
  await using db = openDatabase({
    url: database.url,
    poolSize: database.poolSize,
    onError: (error) => log.warn({ err: error }, "a database connection broke and is replaced"),
  });
  const versions = await migrate(db);
  await checkCanary(db, createSecrets(database.secret));
  return versions;
}
