import { join } from "node:path";
import type { Config } from "../config/config.ts";
import type { Logger } from "../logging/logger.ts";
import { findEmbeddedPostgres, hasEmbeddedPostgres, startEmbeddedPostgres } from "../store/embedded-postgres.ts";
import { EmbeddedPostgresError } from "../store/embedded-postgres-error.ts";

export interface DatabaseBeside extends AsyncDisposable {
  readonly url: string;
  readonly poolSize: number;
  /** The embedded database was started for this alone: no service can run on it meanwhile. */
  readonly isOurs: boolean;
}

/** Few: a service may use the others. */
const POOL_SIZE = 3;

/** Opens the database of a service that may be running, without taking it over. Throws where there is none. */
export async function openBeside(config: Config, log: Logger): Promise<DatabaseBeside> {
  if (config.database.kind === "external") return beside(config.database.url);
  const dataDir = join(config.dataDir, "postgres");
  if (!(await hasEmbeddedPostgres(dataDir))) {
    throw new EmbeddedPostgresError(
      `there is no database in ${dataDir}; set data_dir or database.url to the one you mean`,
    );
  }
  const running = await findEmbeddedPostgres(dataDir);
  if (running !== undefined) return beside(running);
  const postgres = await startEmbeddedPostgres({
    dataDir,
    log: (line) => log.debug({ database: "embedded", reason: line }, "database server"),
  });
  return {
    url: postgres.url,
    poolSize: POOL_SIZE,
    isOurs: true,
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}

const beside = (url: string): DatabaseBeside => ({
  url,
  poolSize: POOL_SIZE,
  isOurs: false,
  [Symbol.asyncDispose]: async () => undefined,
});
