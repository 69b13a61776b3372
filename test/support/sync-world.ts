// The whole sync service over a test database, with streams that are stored by hand.
import { Registry } from "prom-client";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { RoomAnswer } from "../../src/engine/response.ts";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { RequestEndedError } from "../../src/model/request-ended-error.ts";
import { TokenDoubtedError } from "../../src/model/token-doubted-error.ts";
import { selectHead } from "../../src/store/changes.ts";
import { createSecrets, type Secrets } from "../../src/store/secrets.ts";
import { MEMBERS_WAIT_MS } from "../../src/sync/await-members.ts";
import { createSyncCore, type SyncCore } from "../../src/sync-core.ts";
import type { TestDatabase } from "./database.ts";
import { request } from "./engine.ts";
import { StoredWorld, type StreamUser } from "./stored-world.ts";
import { until } from "./until.ts";
import { type WatchedDatabase, watched } from "./watched-database.ts";

export interface SyncWorldOptions {
  readonly initialWaitMs?: number;
  readonly catchUpWaitMs?: number;
  readonly membersWaitMs?: number;
  /** Memory is not loaded yet: `start` has to be called. */
  readonly isStopped?: boolean;
  readonly clock?: Clock;
}

const TOKEN_HASH = Buffer.from("hash of the token");

/** What `pos` and tokens are made with. */
export const TEST_SECRET = "a secret for tests, long enough";

let worlds = 0;

/** One process, and the users of one world. */
export class SyncWorld implements AsyncDisposable {
  readonly db: WatchedDatabase;
  readonly stored: StoredWorld;
  readonly logLines: Record<string, unknown>[] = [];
  readonly #options: SyncWorldOptions;
  #pollers = new AsyncDisposableStack();
  #core: SyncCore;
  #registry = new Registry();
  #secrets = createSecrets(TEST_SECRET);

  static async start(db: TestDatabase, options: SyncWorldOptions = {}): Promise<SyncWorld> {
    const world = new SyncWorld(db, options);
    if (options.isStopped !== true) await world.start();
    return world;
  }

  private constructor(db: TestDatabase, options: SyncWorldOptions) {
    this.db = watched(db);
    this.#options = options;
    this.stored = new StoredWorld(db, { name: `world${worlds++}` });
    this.#core = this.#newCore();
  }

  async start(): Promise<void> {
    await this.#core.follower.start();
  }

  /** Everything in memory is gone; the database stays, and the secret unless others are given. */
  async restart(secrets: Secrets = this.#secrets): Promise<void> {
    this.#secrets = secrets;
    await this.#core.follower[Symbol.asyncDispose]();
    this.#registry = new Registry();
    this.#core = this.#newCore();
    await this.start();
  }

  /** Follows until everything that is stored now is in memory. */
  async caughtUp(): Promise<void> {
    const head = await selectHead(this.db);
    this.#core.follower.wake();
    await until(() => this.#core.follower.position >= head);
  }

  /** As a client of the user's device asks; `pos` of the answer before goes into `more`. */
  sync(user: StreamUser, more: Partial<SyncRequest>, signal: AbortSignal = new AbortController().signal) {
    const forwarded = { xForwardedFor: undefined, userAgent: undefined };
    const { userId, deviceId } = user;
    const ask = (isTokenFresh: boolean) =>
      this.#core.service.answer({
        device: { userId, deviceId, token: "token", tokenHash: TOKEN_HASH, isTokenFresh, forwarded },
        dialect: { name: "simplified-msc3575" },
        request: { ...request(), ...more },
        signal,
      });
    return ask(false).catch((error: unknown) => {
      // The homeserver is asked about the token, and accepts it.
      if (error instanceof TokenDoubtedError) return ask(true);
      throw error;
    });
  }

  /** From now on the user's device counts as polled by a living process. */
  async poll({ deviceNid }: StreamUser): Promise<void> {
    const owner = 1_000_000 + worlds++;
    this.#pollers.use(await this.db.holdSessionLock(owner));
    const text = "UPDATE devices SET owner = $1, lease_until = now() + interval '1 hour' WHERE device_nid = $2";
    await this.db.query({ text, values: [owner, deviceNid] });
  }

  /** The processes of {@link poll} have ended. */
  async pollNobody(): Promise<void> {
    await this.#pollers.disposeAsync();
    this.#pollers = new AsyncDisposableStack();
  }

  async metric(name: string, labels: Readonly<Record<string, string>> = {}): Promise<number> {
    const { values = [] } = (await this.#registry.getSingleMetric(name)?.get()) ?? {};
    const isWanted = (found: object) => Object.entries(labels).every(([key, value]) => Object(found)[key] === value);
    return values.filter(({ labels: found }) => isWanted(found)).reduce((sum, { value }) => sum + value, 0);
  }

  /** So many requests wait for news. */
  async waiting(count = 1): Promise<void> {
    await until(async () => (await this.metric("slidecar_waiting_requests")) === count);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#pollers.disposeAsync();
    await this.#core.follower[Symbol.asyncDispose]();
  }

  #newCore(): SyncCore {
    const { initialWaitMs = 0, catchUpWaitMs = 0, clock = systemClock } = this.#options;
    const { membersWaitMs = MEMBERS_WAIT_MS } = this.#options;
    return createSyncCore({
      config: {
        sync: { initialWaitMs, maxTimeoutMs: 60_000, maxTimelineLimit: 100, simplifiedOps: false },
        polling: { timelineLimit: 50, idleAfterMs: 60_000, catchUpWaitMs, initialConcurrency: 4 },
      },
      db: this.db,
      clock,
      secrets: this.#secrets,
      log: createLogger({ level: "warn", format: "json" }, { write: (line) => this.logLines.push(JSON.parse(line)) }),
      metrics: createMetrics(this.#registry),
      membersWaitMs,
    });
  }
}

/** What an answer says of a room; undefined: nothing. */
export const roomIn = ({ response }: Awaited<ReturnType<SyncWorld["sync"]>>, roomId: string): RoomAnswer | undefined =>
  response.rooms.find((room) => room.roomId === roomId);

export const eventsOf = (room: RoomAnswer | undefined): readonly string[] | undefined =>
  room?.timeline?.events.map(({ event }) => event.eventId);

export const gone = (): AbortSignal => AbortSignal.abort(new RequestEndedError("client"));
