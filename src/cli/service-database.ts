import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { Logger } from "../logging/logger.ts";
import { type Database, openDatabase } from "../store/database.ts";
import { startEmbeddedPostgres } from "../store/embedded-postgres.ts";
import { migrate } from "../store/migrate.ts";
import { checkCanary } from "../store/secret-canary.ts";
import { loadOrCreateSecret, readFormerSecrets } from "../store/secret-file.ts";
import { createSecrets } from "../store/secrets.ts";

export interface ServiceDatabase extends AsyncDisposable {
  readonly url: string;
  readonly poolSize: number;
  readonly secret: string;
  readonly formerSecrets: readonly string[];
  /** Aborts when a database of our own ended. */
  readonly lost: AbortSignal | undefined;
}

/** Opens the configured database, or starts the embedded one in the data folder, and finds the secret that goes with it. */
export async function openServiceDatabase(config: Config, log: Logger): Promise<ServiceDatabase> {
  const { poolSize } = config.database;
  if (config.database.kind === "external") {
    return {
      url: config.database.url,
      poolSize,
      ...(await secretsOf(config)),
      lost: undefined,
      [Symbol.asyncDispose]: async () => undefined,
    };
  }
  await mkdir(config.dataDir, { recursive: true });
  const secrets = await secretsOf(config);
  const postgres = await startEmbeddedPostgres({
    dataDir: join(config.dataDir, "postgres"),
    log: (line) => log.debug({ database: "embedded", reason: line }, "database server"),
  });
  return {
    url: postgres.url,
    poolSize,
    ...secrets,
    lost: postgres.lost,
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}

/** The secrets of the configuration; where it has none, those of the data folder. */
export async function secretsOf({
  secret,
  formerSecrets,
  dataDir,
}: Config): Promise<Pick<ServiceDatabase, "secret" | "formerSecrets">> {
  if (secret !== undefined) return { secret, formerSecrets };
  const generated = await loadOrCreateSecret(dataDir);
  return { secret: generated, formerSecrets: [...formerSecrets, ...(await readFormerSecrets(dataDir))] };
}

/** Brings the schema up to what this program needs, and makes sure that the secret is the database's. */
export async function prepareDatabase(database: ServiceDatabase, log: Logger): Promise<{ from: number; to: number }> {
  await using db = connectTo(database, log);
  const versions = await migrate(db);
  await checkCanary(db, createSecrets(database.secret, database.formerSecrets));
  return versions;
}

export const connectTo = ({ url, poolSize }: Pick<ServiceDatabase, "url" | "poolSize">, log: Logger): Database =>
  openDatabase({
    url,
    poolSize,
    onError: (error) => log.warn({ err: error }, "a database connection broke and is replaced"),
  });
