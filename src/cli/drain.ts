import type { Config } from "../config/config.ts";
import { pause } from "../lib/pause.ts";
import { createLogger } from "../logging/logger.ts";
import type { Database } from "../store/database.ts";
import { beginDraining, type Drained, endDraining, type LeftMessages, selectDrained } from "../store/draining.ts";
import { requireSchema } from "../store/migrate.ts";
import { openBeside } from "./beside.ts";
import { connectTo } from "./service-database.ts";

/** How often it is looked at how far it has come. Longer: the end is told later. Shorter: queries for nothing. */
const LOOK_MS = 1_000;

/** Devices that one report names. More: nobody reads them. */
const MAX_NAMED = 20;

/** Messages are left, and nobody waits for them any longer. */
class NotDrainedError extends Error {
  override readonly name = "NotDrainedError";
}

/**
 * Stops the taking of messages, and waits until every message that was taken is acknowledged by its client. Every process on the
 * database follows; `isEnd` takes it back.
 */
export async function runDrain(
  config: Config,
  isEnd: boolean,
  print: (line: string) => void,
  stop: AbortSignal,
): Promise<void> {
  const log = createLogger(config.logging);
  await using database = await openBeside(config, log);
  await using db = connectTo(database, log);
  await requireSchema(db);
  if (isEnd) {
    print(
      (await endDraining(db)) ? "devices are polled again" : "devices were not kept from being polled: nothing to do",
    );
    return;
  }
  await beginDraining(db);
  const end = database.isOurs ? AbortSignal.abort() : stop;
  const last = await untilDrained(db, print, end);
  if (isDone(last)) {
    print("drained: every to-device message is acknowledged, and no device is polled");
    return;
  }
  const reason = database.isOurs
    ? "the service that would deliver them does not run: start it"
    : "it was not waited for";
  throw new NotDrainedError(
    `not drained: ${summaryOf(last)}; ${reason}. No device is polled until \`slidecar drain --end\`; \`slidecar drain\` ` +
      "waits again",
  );
}

const isDone = ({ polled, left }: Drained): boolean => polled === 0 && left.length === 0;

async function untilDrained(db: Database, print: (line: string) => void, stop: AbortSignal): Promise<Drained> {
  for (let told = ""; ; ) {
    const drained = await selectDrained(db);
    if (isDone(drained)) return drained;
    const counts = JSON.stringify([
      drained.polled,
      drained.left.map(({ messages, ...of }) => [of.userId, of.deviceId, messages]),
    ]);
    if (counts !== told) print(reportOf(drained));
    told = counts;
    if (stop.aborted) return drained;
    await pause(LOOK_MS, stop);
  }
}

function summaryOf({ polled, left }: Drained): string {
  const messages = left.reduce((sum, each) => sum + each.messages, 0);
  const polls = polled === 0 ? "" : `, and ${polled} devices are polled still`;
  return `${messages} messages of ${left.length} devices are left${polls}`;
}

function reportOf(drained: Drained): string {
  const named = drained.left.slice(0, MAX_NAMED).map(lineOf);
  const others = drained.left.length - named.length;
  return [summaryOf(drained), ...named, ...(others > 0 ? [`  and ${others} more devices`] : [])].join("\n");
}

const lineOf = ({ userId, deviceId, messages, wantedAt, isRefused }: LeftMessages): string =>
  `  ${userId} ${deviceId}: ${messages}, last here ${wantedAt.toISOString()}${isRefused ? ", its token was refused" : ""}`;
