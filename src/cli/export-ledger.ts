import { open, rm } from "node:fs/promises";
import type { Config } from "../config/config.ts";
import { createLogger } from "../logging/logger.ts";
import { exportLedger } from "../store/ledger-export.ts";
import { requireSchema } from "../store/migrate.ts";
import { openBeside } from "./beside.ts";
import { connectTo } from "./service-database.ts";

/** Writes the loss ledger to a new file, which only its owner may read, or to standard output. The service may run meanwhile. */
export async function runExportLedger(
  config: Config,
  output: string | undefined,
  print: (line: string) => void,
): Promise<void> {
  const log = createLogger(config.logging);
  await using database = await openBeside(config, log);
  await using db = connectTo(database, log);
  await requireSchema(db);
  if (output === undefined) {
    // Who reads may leave. The write that meets it reports it.
    process.stdout.on("error", () => undefined);
    await exportLedger(db, new Date(), writeOut);
    return;
  }
  // Written over, an export that breaks off would cost the one before.
  await using file = await open(output, "wx", 0o600);
  try {
    const records = await exportLedger(db, new Date(), async (line) => void (await file.write(line)));
    await file.sync();
    print(`${records} records are in ${output}`);
  } catch (error) {
    await rm(output, { force: true });
    throw error;
  }
}

const writeOut = (line: string): Promise<void> =>
  new Promise((resolve, reject) => {
    process.stdout.write(line, (error) => (error ? reject(error) : resolve()));
  });
