import type { Config } from "../config/config.ts";
import { createLogger } from "../logging/logger.ts";
import { openServiceDatabase, prepareDatabase } from "./service-database.ts";

/** Brings the schema up and says what it did. */
export async function runMigrate(config: Config, print: (line: string) => void): Promise<void> {
  const log = createLogger(config.logging);
  await using database = await openServiceDatabase(config, log);
  const { from, to } = await prepareDatabase(database, log);
  print(from === to ? `schema ${to}: nothing to do` : `schema ${from} -> ${to}`);
}
