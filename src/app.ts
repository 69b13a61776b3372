import { randomUUID } from "node:crypto";
import type { Config } from "./config/config.ts";
import { createHomeserver, type Homeserver } from "./homeserver/client.ts";
import { createClientApp } from "./http/client-app.ts";
import { createInternalApp, type Readiness } from "./http/internal-app.ts";
import { type ListeningAddress, startListeners } from "./http/listeners.ts";
import { startJobs } from "./jobs/jobs.ts";
import { systemClock } from "./lib/clock.ts";
import type { Logger } from "./logging/logger.ts";
import type { Metrics } from "./metrics/metrics.ts";
import { type Change, ChangeStream } from "./model/change.ts";
import type { DeviceNid, UserNid } from "./model/ids.ts";
import type { StreamPosition } from "./model/stream-position.ts";
import { createSimplifiedMsc3575 } from "./protocol/simplified-msc3575/simplified-msc3575.ts";
import { expireConnections } from "./store/connections.ts";
import { type Database, openDatabase } from "./store/database.ts";
import { isDeviceWanted } from "./store/devices.ts";
import { Follower } from "./store/follower.ts";
import { Memory } from "./store/memory.ts";
import { pingDatabase } from "./store/ping.ts";
import { createSecrets, type Secrets } from "./store/secrets.ts";
import { Stream } from "./stream/stream.ts";
import { Connections } from "./sync/connections.ts";
import { Devices } from "./sync/devices.ts";
import { PosCodec } from "./sync/pos.ts";
import { SyncService } from "./sync/sync-service.ts";

/** Memory for rooms' timelines and state. More: fewer reads. Less: a smaller process. */
const HOT_ROOM_BYTES = 256 * 1024 * 1024;

/** A phone in a drawer finds its connection again within this time. Longer: the table grows with what nobody uses. */
const CONNECTION_IDLE_MS = 30 * 24 * 60 * 60_000;

export interface AppDeps {
  readonly config: Config;
  readonly database: { readonly url: string; readonly poolSize: number };
  readonly secret: string;
  readonly log: Logger;
  readonly metrics: Metrics;
  /** All metrics of the service as text; undefined: none are served. */
  readonly metricsText: (() => Promise<string>) | undefined;
  /** What else must hold for the service to be ready, in short phrases of what is missing. */
  readonly missing: () => readonly string[];
}

export interface App extends AsyncDisposable {
  readonly addresses: readonly ListeningAddress[];
}

/** Starts everything that serves clients, in order. Disposing ends it in reverse: listeners first, the database last. */
export async function startApp(deps: AppDeps): Promise<App> {
  const { config, log } = deps;
  await using starting = new AsyncDisposableStack();
  const onError = (error: Error) => log.warn({ err: error }, "a database connection broke and is replaced");
  const db = starting.use(openDatabase({ ...deps.database, onError }));
  const secrets = createSecrets(deps.secret);
  const upstream = starting.use(createHomeserver({ url: config.homeserver.url }));
  const core = createCore(db, secrets, deps);
  const follower = starting.use(core.follower);
  const stopping = new AbortController();
  const readiness = new ReadinessState(db, deps.missing);
  const clientApp = createClientApp(clientDeps(deps, db, upstream, core.service, secrets, stopping.signal), {
    passthrough: config.client.passthrough,
    bodyLimitBytes: config.client.bodyLimitBytes,
  });
  const internalApp = createInternalApp({
    clock: systemClock,
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
      [{ name: "expire-connections", schedule: "17 4 * * *", run: () => expireConnections(db, CONNECTION_IDLE_MS) }],
    ),
  );
  const { addresses } = listeners;
  const owned = starting.move();
  return { addresses, [Symbol.asyncDispose]: () => owned.disposeAsync() };
}

interface Core {
  readonly follower: Follower;
  readonly service: SyncService;
}

function createCore(db: Database, secrets: Secrets, { config, log, metrics }: AppDeps): Core {
  const memory = new Memory(db, HOT_ROOM_BYTES);
  const stream = new Stream();
  const follower = new Follower({
    db,
    memory,
    onAdvance: (position, changes) => {
      stream.advance(movedBy(position, changes, (room) => memory.readersOf(room)));
      metrics.streamPosition.set(position);
      metrics.roomsLoaded.set(memory.columns.size);
      metrics.usersLoaded.set(memory.onlineUsers);
    },
    onError: (error) => log.warn({ err: error }, "the stream could not be read and is read again"),
  });
  const { initialWaitMs, maxTimeoutMs } = config.sync;
  const devices = new Devices(
    { db, stream, vault: secrets, clock: systemClock },
    { initialWaitMs, catchUpWaitMs: config.polling.catchUpWaitMs },
  );
  const service = new SyncService({
    devices,
    connections: new Connections(db, systemClock),
    pos: new PosCodec(secrets.posKey),
    memory,
    rooms: { db, hotRooms: memory.hotRooms },
    stream,
    clock: systemClock,
    log,
    metrics,
    maxTimeoutMs,
  });
  return { follower, service };
}

function clientDeps(
  { config, log, metrics }: AppDeps,
  db: Database,
  upstream: Homeserver,
  service: SyncService,
  secrets: Secrets,
  stopping: AbortSignal,
): Parameters<typeof createClientApp>[0] {
  const { maxTimelineLimit, simplifiedOps } = config.sync;
  return {
    upstream,
    clock: systemClock,
    log,
    metrics,
    hashToken: (token) => secrets.hashToken(token).toString("base64"),
    dialects: [createSimplifiedMsc3575({ maxTimelineLimit, withOps: simplifiedOps })],
    sync: service,
    isPolled: (device) => isDeviceWanted(db, device, config.polling.idleAfterMs),
    stopping,
    newRequestId: randomUUID,
  };
}

/** Whom changes concern, for those who wait. Only streams that answers show wake anybody. */
function movedBy(
  position: StreamPosition,
  changes: readonly Change[],
  readersOf: (room: NonNullable<Change["room"]>) => readonly UserNid[],
): Parameters<Stream["advance"]>[0] {
  const users = new Set<UserNid>();
  const syncedDevices = new Set<DeviceNid>();
  for (const { stream, room, userNid, deviceNid } of changes) {
    if (stream === ChangeStream.room && room !== undefined) for (const user of readersOf(room)) users.add(user);
    if (stream === ChangeStream.membership && userNid !== undefined) users.add(userNid);
    if (stream === ChangeStream.synced && deviceNid !== undefined) syncedDevices.add(deviceNid);
  }
  return { position, users, syncedDevices };
}

/** Whether requests can be served: everything is loaded and the database answers. */
class ReadinessState {
  hasStarted = false;
  readonly #db: Database;
  readonly #missing: () => readonly string[];

  constructor(db: Database, missing: () => readonly string[]) {
    this.#db = db;
    this.#missing = missing;
  }

  async current(): Promise<Readiness> {
    const reasons = [...this.#missing()];
    if (!this.hasStarted) reasons.push("rooms are being loaded");
    try {
      await pingDatabase(this.#db);
    } catch {
      reasons.push("the database does not answer");
    }
    return { isReady: reasons.length === 0, reasons };
  }
}
