import type { Config } from "../config/config.ts";
import { createLogger } from "../logging/logger.ts";
import { dropCache } from "../store/cache.ts";
import { connectTo, openServiceDatabase, prepareDatabase } from "./service-database.ts";

/** Drops all but the loss ledger, and says what that was. */
export async function runRebuildCache(config: Config, print: (line: string) => void): Promise<void> {
  const log = createLogger(config.logging);
  await using database = await openServiceDatabase(config, log);
  await prepareDatabase(database, log);
  await using db = connectTo(database, log);
  const { rooms, events, connections, devices, toDeviceMessages } = await dropCache(db);
  print(
    `dropped: ${rooms} rooms with ${events} events, ${connections} connections; clients begin new ones by themselves`,
  );
  print(`kept: ${devices} devices and ${toDeviceMessages} to-device messages`);
  print("each user's rooms are asked of the homeserver with the next poll of one of their devices");
}
