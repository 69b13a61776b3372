import type { Homeserver } from "../homeserver/client.ts";
import { type Clock, microseconds } from "../lib/clock.ts";
import { Semaphore } from "../lib/semaphore.ts";
import type { Logger } from "../logging/logger.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { UpstreamFault } from "../model/upstream.ts";
import type { Database } from "../store/database.ts";
import type { ClaimedDevice } from "../store/devices.ts";
import { Callers } from "./fetch/callers.ts";
import { askAll, createFetchQueue, recallContests } from "./fetch/create-fetch-queue.ts";
import { createMembersReader } from "./fetch/create-members-reader.ts";
import { createReconciler, createStateComparer } from "./fetch/create-reconciler.ts";
import { buildFirstWindow, type FirstWindowDeps } from "./first-window/first-window.ts";
import { createHistoryQueue } from "./history/create-history-queue.ts";
import type { OpenQuestion } from "./ingest/contest.ts";
import { type WriteLane, Writer } from "./ingest/writer.ts";
import { pollFilter } from "./poller/filter.ts";
import type { PollerDeps, SyncUpstream } from "./poller/poller-deps.ts";
import { PollerPool } from "./poller/poller-pool.ts";
import { FIRST_REST_MS } from "./poller/stream-past.ts";
import type { Verdict } from "./poller/verdict.ts";
import { createRecallQueue } from "./recall/create-recall-queue.ts";
import { SilentTyping } from "./silent-typing.ts";

/**
 * First polls after a time without any that run at the same time: a restart has as many as there are devices. More: the
 * homeserver is flooded. Fewer: it takes longer until all are up to date.
 */
const CATCH_UPS = 32;

/** How often a line tells how far a first sync has come. More often: noise. Less: an operator thinks that nothing happens. */
const PROGRESS_MS = 10_000;

export interface IntakeDeps {
  readonly db: Database;
  readonly upstream: SyncUpstream & Pick<Homeserver, "rooms" | "values">;
  /** Everything at or below the position is visible now. */
  readonly onPosition: (position: StreamPosition, lane?: WriteLane) => void;
  readonly openToken: (sealed: Buffer) => string;
  /** This process, by the key of its session lock. */
  readonly owner: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

export interface IntakeOptions {
  /** Timeline events of one room in one poll. */
  readonly timelineLimit: number;
  readonly idleAfterMs: number;
  /** First syncs at a time. */
  readonly initialConcurrency: number;
}

export interface Intake {
  /** Runs until `signal` aborts; then every poller has stopped and its device is free. */
  run(signal: AbortSignal): Promise<void>;
}

/**
 * Everything that brings facts in: the pollers, the writer that stores what they receive, and the queue of what they leave
 * open.
 */
export function createIntake(deps: IntakeDeps, options: IntakeOptions): Intake {
  const callers = new Callers();
  const writer = createWriter(deps, (open) => askAll(queue, state, open));
  const queue = createFetchQueue({ ...deps, ...options, ...readsOf(deps) }, callers, writer);
  const comparing = { ...deps, ...deps.upstream, callers, store: writer, ask: queue, ...options };
  const state = createStateComparer(comparing);
  const reconciler = createReconciler(comparing, state);
  const members = createMembersReader(comparing);
  const onFirstPolled = (device: ClaimedDevice) => {
    reconciler.caughtUp(device);
    recallContests(deps.db, device).then(
      (open) => askAll(queue, state, open),
      (err: Error) =>
        deps.log.warn({ user: device.userId, err }, "what was left open of a user's streams could not be read"),
    );
  };
  const history = createHistoryQueue({ ...deps, callers, store: writer });
  const recalls = createRecallQueue({ ...deps, ...options, callers, store: writer });
  const pool = createPool(deps, options, { writer, callers, onFirstPolled });
  const onError = (err: Error) => deps.log.warn({ err }, "typing that is over could not be ended; it is tried again");
  const typing = new SilentTyping({ ...deps, onError });
  return {
    run: async (signal) => {
      await using _wants = await history.listen();
      await using _recalls = await recalls.listen();
      try {
        await members.start();
        typing.start();
        await pool.run(signal);
      } finally {
        await typing.stop();
        await history.stop();
        await recalls.stop();
        await members.stop();
        await reconciler.stop();
        await queue.stop();
      }
    },
  };
}

const readsOf = ({ upstream: { values, rooms } }: IntakeDeps) => ({ reads: values, rooms });

/** What pollers leave to others. */
interface Around {
  readonly writer: Writer;
  readonly callers: Callers;
  readonly onFirstPolled: (device: ClaimedDevice) => void;
}

function createPool(deps: IntakeDeps, options: IntakeOptions, { writer, callers, onFirstPolled }: Around): PollerPool {
  const { db, owner, openToken, log, metrics } = deps;
  const places = { first: new Semaphore(options.initialConcurrency), "catch-up": new Semaphore(CATCH_UPS) };
  const windowDeps = firstWindowDeps(deps, options, writer);
  return new PollerPool({
    db,
    owner,
    openToken,
    idleAfterMs: options.idleAfterMs,
    onRunning: (pollers) => metrics.pollers.set(pollers),
    onStopped: (device, reason) => {
      callers.forget(device);
      const fields = { user: device.userId, device: device.deviceId };
      if (reason instanceof Error) log.error({ ...fields, err: reason }, "a poller ended by an error of its own");
      else log.info({ ...fields, reason }, "poller stopped");
    },
    onError: (error) => log.warn({ err: error }, "the poller pool could not reach the database and tries again"),
    pollerDeps: (device, isAskedFor) => ({
      upstream: callers.watch(device, deps.upstream),
      store: writer,
      clock: deps.clock,
      random: deps.random,
      filter: pollFilter(options.timelineLimit),
      // Somebody waits for a device that is asked for; the others were polled before a restart, the latest first.
      admit: (kind, work, signal) => places[kind].run(work, signal, { isFirst: isAskedFor }),
      firstWindow: (window) => buildFirstWindow(windowDeps, window),
      events: pollerEvents(device, deps, () => onFirstPolled(device)),
    }),
  });
}

function firstWindowDeps(
  { db, upstream, clock, onPosition, log, metrics }: IntakeDeps,
  { timelineLimit, initialConcurrency }: IntakeOptions,
  store: Writer,
): FirstWindowDeps {
  const fields = (device: ClaimedDevice) => ({ user: device.userId, device: device.deviceId });
  return {
    db,
    rooms: upstream.rooms,
    values: upstream.values,
    store,
    nowUs: () => microseconds(clock),
    timelineLimit,
    places: new Semaphore(initialConcurrency),
    onPosition,
    onBuilt: (device, { rooms, joined }) => {
      metrics.firstWindows.inc();
      log.info({ ...fields(device), rooms, joined }, "a first window is there ahead of the first sync");
    },
    onFailed: (device, error) => {
      log.warn({ ...fields(device), err: error }, "a room, or all, of a first window could not be read");
    },
  };
}

function createWriter(
  { db, onPosition, log, metrics }: IntakeDeps,
  onContests: (open: readonly OpenQuestion[]) => void,
): Writer {
  return new Writer({
    db,
    onPosition,
    onLock: (seconds) => metrics.positionLockSeconds.observe(seconds),
    onStored: (lane, stored, seconds) => {
      metrics.storeTransactionSeconds.observe({ kind: lane }, seconds);
      metrics.eventsStored.inc({ kind: "timeline" }, stored.timelineEvents);
      metrics.eventsStored.inc({ kind: "state" }, stored.stateEvents);
      onContests(stored.contests);
    },
    onRoomSetAside: (room, error) => {
      metrics.setAside.inc({ what: "room" });
      log.error({ room, err: error }, "a room was set aside: the database refuses its data");
    },
  });
}

function pollerEvents(
  device: ClaimedDevice,
  { log, metrics, clock }: IntakeDeps,
  onFirstPolled: () => void,
): PollerDeps["events"] {
  let isFirst = true;
  const fields = { user: device.userId, device: device.deviceId };
  let toldMs = clock.nowMs();
  return {
    onProgress: (all, news) => {
      metrics.firstSyncBytes.inc(news.bytes);
      metrics.firstSyncRooms.inc(news.rooms);
      if (clock.nowMs() - toldMs < PROGRESS_MS) return;
      toldMs = clock.nowMs();
      log.info({ ...fields, ...all }, "a first sync is arriving");
    },
    onPolled: ({ seconds, bytes, isEmpty, hasLost, restMs }) => {
      metrics.polls.inc({ outcome: isEmpty ? "empty" : "news" });
      metrics.pollSeconds.observe(seconds);
      metrics.pollBytes.inc(bytes);
      log.debug({ ...fields, bytes, durationMs: Math.round(seconds * 1000) }, "poll stored");
      if (hasLost)
        log.warn(fields, "the homeserver's stream went back, as after a backup; all rooms are asked for anew");
      if (restMs === FIRST_REST_MS) {
        log.warn({ ...fields, retryAfterMs: restMs }, "the homeserver answers at once and brings nothing; polls wait");
      }
      if (isFirst) onFirstPolled();
      isFirst = false;
    },
    onFailed: (fault, verdict) => {
      metrics.polls.inc({ outcome: outcomeOf(fault) });
      const what = fault instanceof Error ? { err: fault } : faultFields(fault);
      log.warn({ ...fields, ...what, ...verdictFields(verdict) }, "poll failed");
    },
    onSetAside: (what, where, reason) => {
      metrics.setAside.inc({ what });
      log.warn({ ...fields, section: where, reason }, "a part of a response was set aside");
    },
  };
}

function outcomeOf(fault: UpstreamFault | Error): "refused" | "limited" | "failed" {
  if (fault instanceof Error || fault.kind !== "status") return "failed";
  if (fault.status === 401 || fault.status === 403) return "refused";
  return fault.status === 429 ? "limited" : "failed";
}

const faultFields = (fault: UpstreamFault) =>
  fault.kind === "status" ? { status: fault.status, errcode: fault.errcode } : { reason: fault.kind };

const verdictFields = (verdict: Verdict) =>
  verdict.next === "again" ? { retryAfterMs: verdict.afterMs } : { outcome: verdict.reason };
