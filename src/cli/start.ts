import { Registry } from "prom-client";
import { type App, startApp } from "../app.ts";
import type { Config } from "../config/config.ts";
import type { Role } from "../config/flags.ts";
import { runIntake } from "../intake-app.ts";
import { createLogger, type Logger } from "../logging/logger.ts";
import { mergeMetrics } from "../metrics/merge.ts";
import { createMetrics, type Metrics } from "../metrics/metrics.ts";
import { isDraining } from "../store/draining.ts";
import { markRunning } from "../store/running-mark.ts";
import { IntakeSupervisor } from "./intake-supervisor.ts";
import { connectTo, openServiceDatabase, prepareDatabase, type ServiceDatabase } from "./service-database.ts";

/** Runs the service until `stop` aborts. */
export async function start(config: Config, role: Role, version: string, stop: AbortSignal): Promise<void> {
  const log = createLogger(config.logging).child({ role });
  const registry = new Registry();
  const metrics = createMetrics(registry);
  await using stack = new AsyncDisposableStack();
  const database = stack.use(await openServiceDatabase(config, log));
  const { from, to } = await prepareDatabase(database, log);
  if (from !== to) log.info({ count: to - from }, "schema migrations were applied");
  const marks = stack.use(connectTo(database, log));
  stack.use(await markRunning(marks, (err) => log.warn({ err }, "others cannot see that this process runs")));
  if (await isDraining(marks)) log.warn("no device is polled until `slidecar drain --end`");
  const ended = database.lost === undefined ? stop : AbortSignal.any([stop, database.lost]);
  if (role === "intake") {
    await runIntake({ config, database, ...secretsOf(database), log, metrics, onStored: () => undefined }, ended);
  } else {
    await serve({ config, role, version, log, registry, metrics, database }, ended);
  }
  if (!stop.aborted && database.lost?.aborted)
    throw new Error("the embedded database ended", { cause: database.lost.reason });
  log.info("stopped");
}

interface Serving {
  readonly config: Config;
  readonly role: Role;
  readonly version: string;
  readonly log: Logger;
  readonly registry: Registry;
  readonly metrics: Metrics;
  readonly database: ServiceDatabase;
}

async function serve(
  { config, role, version, log, registry, metrics, database }: Serving,
  stop: AbortSignal,
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  let running: App | undefined;
  const intake =
    role === "all"
      ? stack.use(
          new IntakeSupervisor({
            input: {
              config,
              database: { url: database.url, poolSize: database.poolSize },
              ...secretsOf(database),
            },
            log,
            onRestart: () => metrics.intakeRestarts.inc(),
            // Until the app has started, it reads what is stored by itself.
            onStored: (position) => running?.onStored(position),
          }),
        )
      : undefined;
  const metricsText = async () => {
    const own = await registry.getMetricsAsJSON();
    const other = await intake?.metrics();
    return await mergeMetrics(other === undefined ? [own] : [own, other]);
  };
  const app = stack.use(
    await startApp({
      config,
      database,
      ...secretsOf(database),
      log,
      metrics,
      metricsText: config.metrics.enabled ? metricsText : undefined,
      missing: () => (intake === undefined || intake.isRunning ? [] : ["the intake process is not running"]),
    }),
  );
  running = app;
  for (const { address, resources } of app.addresses) log.info({ listener: address, resources, version }, "listening");
  log.info({ database: config.database.kind }, "ready");
  await untilAborted(stop);
}

const secretsOf = ({ secret, formerSecrets }: ServiceDatabase) => ({ secret, formerSecrets });

const untilAborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });
