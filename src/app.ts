import { randomUUID } from "node:crypto";
import type { Config } from "./config/config.ts";
import { createHomeserver, type Homeserver } from "./homeserver/client.ts";
import { createClientApp } from "./http/client-app.ts";
import { createInternalApp } from "./http/internal-app.ts";
import { type ListeningAddress, startListeners } from "./http/listeners.ts";
import type { ForgetPort } from "./http/ports.ts";
import { startJobs } from "./jobs/jobs.ts";
import { systemClock } from "./lib/clock.ts";
import type { Logger } from "./logging/logger.ts";
import type { Metrics } from "./metrics/metrics.ts";
import type { DeviceName } from "./model/calling-device.ts";
import type { StreamPosition } from "./model/stream-position.ts";
import { createSimplifiedMsc3575 } from "./protocol/simplified-msc3575/simplified-msc3575.ts";
import { ReadinessState } from "./readiness.ts";
import { expireDeviceLists, listsKeptFrom } from "./store/acknowledged.ts";
import { expireConnections } from "./store/connections.ts";
import { type Database, openDatabase } from "./store/database.ts";
import { isDeviceWanted } from "./store/devices.ts";
import type { Follower } from "./store/follower.ts";
import { forgetRoom } from "./store/forgets.ts";
import { expireHistoryWants } from "./store/history-wants.ts";
import { STREAM_CHANNEL } from "./store/publish.ts";
import { expireRecalls } from "./store/recalls.ts";
import { createSecrets, type Secrets } from "./store/secrets.ts";
import { MEMBERS_WAIT_MS } from "./sync/await-members.ts";
import type { SyncService } from "./sync/sync-service.ts";
import { createSyncCore } from "./sync-core.ts";

/** A phone in a drawer finds its connection again within this time. Longer: the table grows with what nobody uses. */
const CONNECTION_IDLE_MS = 30 * 24 * 60 * 60_000;

export interface AppDeps {
  readonly config: Config;
  readonly database: { readonly url: string; readonly poolSize: number };
  readonly secret: string;
  readonly formerSecrets: readonly string[];
  readonly log: Logger;
  readonly metrics: Metrics;
  /** All metrics of the service as text; undefined: none are served. */
  readonly metricsText: (() => Promise<string>) | undefined;
  /** What else must hold for the service to be ready, in short phrases of what is missing. */
  readonly missing: () => readonly string[];
}

export interface App extends AsyncDisposable {
  readonly addresses: readonly ListeningAddress[];
  /** Everything at or below the position is visible in the database. */
  onStored(position: StreamPosition): void;
}

/** Starts everything that serves clients, in order. Disposing ends it in reverse: listeners first, the database last. */
export async function startApp(deps: AppDeps): Promise<App> {
  const { config, log, metrics } = deps;
  const clock = systemClock;
  await using starting = new AsyncDisposableStack();
  const onError = (error: Error) => log.warn({ err: error }, "a database connection broke and is replaced");
  const db = starting.use(openDatabase({ ...deps.database, onError }));
  const secrets = createSecrets(deps.secret, deps.formerSecrets);
  const upstream = starting.use(createHomeserver({ url: config.homeserver.url }));
  const core = createSyncCore({ config, db, secrets, clock, log, metrics, membersWaitMs: MEMBERS_WAIT_MS });
  const follower = starting.use(core.follower);
  const stopping = new AbortController();
  const readiness = new ReadinessState({ db, follower, missing: deps.missing });
  const clientApp = createClients(deps, {
    db,
    secrets,
    upstream,
    sync: core.service,
    forgets: forgetsOf(db, follower),
    stopping: stopping.signal,
  });
  const internalApp = createInternalApp({
    clock,
    log,
    newRequestId: randomUUID,
    readiness: () => readiness.current(),
    metricsText: deps.metricsText,
  });
  // Listening comes before loading: whether the process lives can be asked at once, and readiness says when it serves.
  const listeners = starting.use(
    await startListeners(config.listeners, { client: clientApp, internal: internalApp }, { stopping }),
  );
  await follower.start();
  readiness.hasStarted = true;
  starting.use(
    await startJobs(
      {
        databaseUrl: deps.database.url,
        onError: (error) => log.warn({ err: error }, "the job queue failed and tries again"),
      },
      [
        { name: "expire-connections", schedule: "17 4 * * *", run: () => expireConnections(db, CONNECTION_IDLE_MS) },
        { name: "expire-recalls", schedule: "37 4 * * *", run: () => expireRecalls(db) },
        {
          name: "expire-device-lists",
          schedule: "22 4 * * *",
          run: () => expireDeviceLists(db, listsKeptFrom(clock)),
        },
        { name: "expire-history-wants", schedule: "27 4 * * *", run: () => expireHistoryWants(db) },
      ],
    ),
  );
  const { addresses } = listeners;
  const owned = starting.move();
  return {
    addresses,
    onStored: (position) => follower.wake(position),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

interface ClientParts {
  readonly db: Database;
  readonly secrets: Secrets;
  readonly upstream: Homeserver;
  readonly sync: SyncService;
  readonly forgets: ForgetPort;
  /** Aborts when the service begins to shut down. */
  readonly stopping: AbortSignal;
}

const forgetsOf = (db: Database, follower: Follower): ForgetPort => ({
  get position() {
    return follower.position;
  },
  async forget(room) {
    const position = await forgetRoom(db, room);
    // Every process that serves listens, this one too.
    if (position !== undefined) await db.notify(STREAM_CHANNEL, String(position));
  },
});

function createClients(
  { config, log, metrics }: AppDeps,
  { db, secrets, ...parts }: ClientParts,
): ReturnType<typeof createClientApp> {
  const { maxTimelineLimit, simplifiedOps } = config.sync;
  const deps = {
    ...parts,
    clock: systemClock,
    log,
    metrics,
    hashToken: secrets.hashToken,
    dialects: [createSimplifiedMsc3575({ maxTimelineLimit, withOps: simplifiedOps })],
    isPolled: (device: DeviceName) => isDeviceWanted(db, device, config.polling.idleAfterMs),
    newRequestId: randomUUID,
  };
  const { passthrough, bodyLimitBytes } = config.client;
  return createClientApp(deps, { passthrough, bodyLimitBytes });
}
