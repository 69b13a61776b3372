import { randomInt } from "node:crypto";
import type { Config } from "./config/config.ts";
import { createHomeserver } from "./homeserver/client.ts";
import { createIntake } from "./intake/intake.ts";
import { systemClock } from "./lib/clock.ts";
import type { Logger } from "./logging/logger.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { StreamPosition } from "./model/stream-position.ts";
import { openDatabase } from "./store/database.ts";
import { createNotifyCoalescer } from "./store/notify-coalescer.ts";
import { STREAM_CHANNEL } from "./store/publish.ts";
import { createSecrets } from "./store/secrets.ts";

/** Session locks of pollers' owners are positive, so that they read the same as 32 bits with and without sign. */
const MAX_OWNER = 2 ** 31 - 1;

export interface IntakeAppDeps {
  readonly config: Pick<Config, "homeserver" | "polling">;
  readonly database: { readonly url: string; readonly poolSize: number };
  readonly secret: string;
  readonly formerSecrets: readonly string[];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** Everything at or below the position is visible now; other processes are told by the database. */
  readonly onStored: (position: StreamPosition) => void;
}

/** Runs the pollers until `signal` aborts. Rejects when this process loses its place among the owners of pollers. */
export async function runIntake(
  { config, database, secret, formerSecrets, log, metrics, onStored }: IntakeAppDeps,
  signal: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const onError = (error: Error) => log.warn({ err: error }, "a database connection broke and is replaced");
  const db = stack.use(openDatabase({ ...database, onError }));
  const secrets = createSecrets(secret, formerSecrets);
  const upstream = stack.use(createHomeserver({ url: config.homeserver.url }));
  const owner = randomInt(1, MAX_OWNER);
  const lock = stack.use(await db.holdSessionLock(owner));
  const coalescer = () =>
    createNotifyCoalescer({
      notify: (payload) => db.notify(STREAM_CHANNEL, payload),
      onError: (error) => log.warn({ err: error }, "a notification failed; readers catch up by position"),
      clock: systemClock,
      after: (ms, work) => {
        const timer = setTimeout(work, ms);
        return () => clearTimeout(timer);
      },
    });
  // What is told of a long response must not put off what is told of a live one.
  const announce = { live: stack.use(coalescer()), bulk: stack.use(coalescer()) };
  const { timelineLimit, idleAfterMs, initialConcurrency } = config.polling;
  const pool = createIntake(
    {
      db,
      upstream,
      onPosition: (position, lane = "live") => {
        onStored(position);
        announce[lane].announce(position);
      },
      owner,
      log,
      metrics,
      openToken: (sealed) => secrets.decryptToken(sealed),
      clock: systemClock,
      random: Math.random,
    },
    { timelineLimit, idleAfterMs, initialConcurrency },
  );
  log.info("intake started");
  await pool.run(AbortSignal.any([signal, lock.lost]));
  if (!signal.aborted)
    throw new Error("the database connection that owns the pollers was lost", { cause: lock.lost.reason });
}
