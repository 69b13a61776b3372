import { assembleSync, type SyncOutcome } from "../engine/assemble.ts";
import { historyWants } from "../engine/history-wants.ts";
import { keepBack } from "../engine/keep-back.ts";
import { spacesIn } from "../engine/lists/filter.ts";
import { awaitsMembers, memberReads } from "../engine/members.ts";
import { extensionReads, planSync } from "../engine/plan.ts";
import type { SyncRequest } from "../engine/request.ts";
import type { SyncResponse } from "../engine/response.ts";
import { heroReads } from "../engine/rooms/heroes.ts";
import { type Clock, microseconds } from "../lib/clock.ts";
import { LinkedAbort } from "../lib/linked-abort.ts";
import { NewestFirst, SupersededError } from "../lib/newest-first.ts";
import type { Logger } from "../logging/logger.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { CallingDevice } from "../model/calling-device.ts";
import { ClientError } from "../model/client-error.ts";
import type { DialectName } from "../model/dialect-name.ts";
import type { RoomNid } from "../model/ids.ts";
import { RequestEndedError } from "../model/request-ended-error.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import { TokenDoubtedError } from "../model/token-doubted-error.ts";
import { UnavailableError } from "../model/unavailable-error.ts";
import { selectHead } from "../store/changes.ts";
import { type ConnectionKey, textOfKey } from "../store/connections.ts";
import { DatabaseUnavailableError } from "../store/database-errors.ts";
import { readExtensions } from "../store/extension-reader.ts";
import type { Memory } from "../store/memory.ts";
import { RoomReader, type RoomReaderDeps } from "../store/room-reader.ts";
import type { RecentPositions } from "../stream/recent-positions.ts";
import type { Stream } from "../stream/stream.ts";
import type { Acknowledgements } from "./acknowledgements.ts";
import { awaitMembers, ON_THE_WAY_US } from "./await-members.ts";
import type { Connections, OpenConnection } from "./connections.ts";
import type { Devices, KnownDevice } from "./devices.ts";
import { Hold } from "./hold.ts";
import { Lacking, type LackingDeps, type Lacks } from "./lacking.ts";
import { longPoll } from "./long-poll.ts";
import type { MemberWishes } from "./member-wishes.ts";
import type { PosCodec } from "./pos.ts";
import { readerView } from "./reader-view.ts";

/**
 * How long an answer may wait for this process to catch up with a `pos` that another process issued. Longer: clients time
 * out instead. Shorter: a short stall of the database becomes an error.
 */
const CATCH_UP_LIMIT_MS = 5_000;

interface SyncServiceDeps extends LackingDeps {
  readonly devices: Devices;
  readonly connections: Connections;
  readonly pos: PosCodec;
  readonly memory: Memory;
  readonly rooms: RoomReaderDeps;
  readonly stream: Stream;
  readonly recent: RecentPositions;
  readonly wishes: MemberWishes;
  readonly acknowledgements: Acknowledgements;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<
    Metrics,
    | "syncRequests"
    | "syncComputeSeconds"
    | "upstreamToAnswerSeconds"
    | "unknownPositions"
    | "waitingRequests"
    | "heldAnswers"
    | "setAside"
  >;
  /** Upper bound for a client's timeout, in milliseconds. */
  readonly maxTimeoutMs: number;
  /** How long an answer may be held for members that are being asked for, in milliseconds. */
  readonly membersWaitMs: number;
}

interface SyncServiceCall {
  readonly device: CallingDevice;
  readonly dialect: { readonly name: DialectName };
  readonly request: SyncRequest;
  readonly signal: AbortSignal;
}

interface SyncAnswer {
  readonly response: SyncResponse;
  /** Where the client goes on. */
  readonly pos: string;
}

interface Computed extends Lacks {
  readonly to: StreamPosition;
  /** When the reader's membership changed after `to`, in a room of which something newer was read. */
  readonly movedAt: StreamPosition | undefined;
  /** From where on rooms are kept back; undefined: none is. */
  readonly keptBackSince: StreamPosition | undefined;
  /** Members that it needs are being asked for. */
  readonly awaitsMembers: boolean;
}

/** Answers sync requests: one computation for first and later requests, from what is stored. */
export class SyncService {
  readonly #deps: SyncServiceDeps;
  readonly #hold: Hold;
  readonly #byConnection = new NewestFirst<string>();

  constructor(deps: SyncServiceDeps) {
    this.#deps = deps;
    this.#hold = new Hold(deps.recent, deps.clock);
  }

  /** Throws `ClientError`, `UnavailableError`, `TokenDoubtedError`, or the reason of the signal when the client has gone. */
  async answer(call: SyncServiceCall): Promise<SyncAnswer> {
    try {
      return await this.#answer(call);
    } catch (error) {
      if (!(error instanceof DatabaseUnavailableError)) throw error;
      throw new UnavailableError("This server cannot reach its database; try again", 1_000, { cause: error });
    }
  }

  async #answer(call: SyncServiceCall): Promise<SyncAnswer> {
    const { request, device, signal } = call;
    const timeoutMs = Math.min(request.timeoutMs, this.#deps.maxTimeoutMs);
    const known = await this.#deps.devices.ensure(
      device,
      { timeoutMs, isBeginning: request.pos === undefined },
      signal,
    );
    const key = { userNid: known.userNid, deviceId: device.deviceId, connId: request.connId };
    using end = new LinkedAbort(signal);
    using _refused = this.#deps.stream.onRefused(known.deviceNid, () => end.abort(new TokenDoubtedError()));
    return await this.#byConnection.run(textOfKey(key), end, () =>
      this.#answerOn(key, known, { ...call, signal: end.signal }, timeoutMs),
    );
  }

  async #answerOn(
    key: ConnectionKey,
    known: KnownDevice,
    call: SyncServiceCall,
    timeoutMs: number,
  ): Promise<SyncAnswer> {
    const { connections, pos, stream, membersWaitMs } = this.#deps;
    throwIfGone(call.signal);
    const { open, from } = await this.#open(key, call);
    await this.#unlessAhead(from ?? BEFORE_ALL);
    await this.#catchUpWith(from ?? BEFORE_ALL, call.signal);
    const isWhole = await this.#deps.acknowledgements.take(known, call, from);
    if (!isWhole) throw this.#unknownPos("device_lists");
    let to = stream.position;
    let isHeld = false;
    const { outcome, hasWaited } = await longPoll(stream, {
      userNid: known.userNid,
      // A request without pos is answered at once, whatever its timeout (MSC4186 "Long-polling").
      timeoutMs: from === undefined ? 0 : timeoutMs,
      signal: call.signal,
      onWaiting: (change) => this.#deps.metrics.waitingRequests.add(change),
      compute: async () => {
        const computed = await awaitMembers(stream, {
          userNid: known.userNid,
          // A first request names no time that it would wait for.
          timeoutMs: from === undefined && timeoutMs === 0 ? undefined : timeoutMs,
          membersWaitMs,
          signal: call.signal,
          compute: () => this.#compute(call, known, open, { from, timeoutMs }),
        });
        to = computed.to;
        isHeld ||= computed.keptBackSince !== undefined;
        const { outcome: answer, keptBackSince } = computed;
        return { outcome: answer, newsInMs: this.#hold.endsInMs(keptBackSince, answer.quietSince) };
      },
    });
    throwIfGone(call.signal);
    const stands = await connections.save(key, open, outcome.delta);
    if (stands === undefined) throw this.#unknownPos("superseded");
    // What was kept back waited for another response than the one that brought it.
    this.#observe(call, outcome, hasWaited && !isHeld);
    if (isHeld) this.#deps.metrics.heldAnswers.inc();
    return { response: outcome.response, pos: pos.encode({ ...stands, stream: to }, key) };
  }

  async #open(
    key: ConnectionKey,
    { request }: SyncServiceCall,
  ): Promise<{ open: OpenConnection; from: StreamPosition | undefined }> {
    const { connections, pos } = this.#deps;
    if (request.pos === undefined) return { open: connections.start(), from: undefined };
    const presented = pos.decode(request.pos, key);
    if (presented === undefined) throw this.#unknownPos("malformed");
    const open = await connections.open(key, presented.connection, presented.position);
    if (open === undefined) throw this.#unknownPos("no_connection");
    return { open, from: presented.stream };
  }

  /** Processes issue only what the database has: this comes from before an older one came back, which may never get there. */
  async #unlessAhead(position: StreamPosition): Promise<void> {
    const { stream, rooms } = this.#deps;
    if (position > stream.position && position > (await selectHead(rooms.db))) throw this.#unknownPos("ahead");
  }

  async #catchUpWith(position: StreamPosition, signal: AbortSignal): Promise<void> {
    const isReached = await this.#deps.stream.reached(position, CATCH_UP_LIMIT_MS, signal);
    if (!isReached) throw new UnavailableError("This server is catching up; try again", 1_000);
  }

  /**
   * Computes again when the reader turns out to have been put out of a room that was read as if they were in it, and once each when
   * a room came that they left, and when history came that the answer lacks.
   */
  async #compute(
    call: SyncServiceCall,
    known: KnownDevice,
    { state }: OpenConnection,
    { from, timeoutMs }: { readonly from: StreamPosition | undefined; readonly timeoutMs: number },
  ): Promise<Computed> {
    const startedMs = performance.now();
    const lacking = new Lacking(this.#deps, { userNid: known.userNid, from, timeoutMs, signal: call.signal });
    let waitedMs = 0;
    for (;;) {
      const computed = await this.#computeOnce(call, known, state, from);
      if (computed.movedAt !== undefined) {
        await this.#catchUpWith(computed.movedAt, call.signal);
        continue;
      }
      const askedMs = performance.now();
      const isMoreThere = await lacking.bring(computed);
      waitedMs += performance.now() - askedMs;
      if (isMoreThere) continue;
      const kind = from === undefined ? "initial" : "delta";
      const seconds = (performance.now() - startedMs - waitedMs) / 1000;
      this.#deps.metrics.syncComputeSeconds.observe({ dialect: call.dialect.name, kind }, seconds);
      for (const { room, error } of computed.outcome.failedRooms) {
        this.#deps.metrics.setAside.inc({ what: "room" });
        this.#deps.log.error({ room, err: error }, "a room could not be rendered and was left out of an answer");
      }
      return computed;
    }
  }

  async #computeOnce(
    { request, device: { userId } }: SyncServiceCall,
    { userNid, deviceNid }: KnownDevice,
    connection: OpenConnection["state"],
    from: StreamPosition | undefined,
  ): Promise<Computed> {
    const { memory, rooms, stream, clock, wishes } = this.#deps;
    const view = await readerView(memory, { userNid, userId, deviceNid }, spacesIn(request));
    // From here to the end of the plan nothing may wait: memory stands at `to`.
    const to = stream.position;
    const whole = planSync({ request, connection, from, to, view });
    const isAhead = (room: RoomNid) => memory.columns.changedAt(room) > to;
    const ahead = whole.rooms.filter(({ as, room }) => as === "joined" && isAhead(room)).map(({ room }) => room);
    const reading = new RoomReader(rooms, { userNid, userId, deviceNid, to });
    const read = await reading.rooms(whole.reads);
    const window = this.#hold.window();
    const { plan, since } = keepBack(whole, read, window);
    const data = await reading.withHeroes(read, heroReads(plan, read));
    const members = await reading.members(memberReads(plan, data));
    const [movedAt, extensions] = await Promise.all([
      reading.movedAt(ahead),
      readExtensions(rooms.db, { userNid, userId, deviceNid, to }, extensionReads(plan, data)),
      wishes.raise(userNid, plan.wishes),
    ]);
    const recentAfter = (microseconds(clock) - ON_THE_WAY_US) as StreamPosition;
    return {
      outcome: assembleSync(plan, { data, members, extensions }, window.after),
      to,
      movedAt,
      wants: historyWants(plan, data),
      unknown: plan.unknown,
      keptBackSince: since,
      awaitsMembers: awaitsMembers(plan, data, members, recentAfter),
    };
  }

  #unknownPos(reason: "malformed" | "no_connection" | "superseded" | "device_lists" | "ahead"): ClientError {
    this.#deps.metrics.unknownPositions.inc({ reason });
    return new ClientError("M_UNKNOWN_POS", "Unknown position");
  }

  #observe({ dialect, signal }: SyncServiceCall, outcome: SyncOutcome, isTimed: boolean): void {
    const { metrics, memory, clock } = this.#deps;
    const ended = signal.reason instanceof SupersededError ? "superseded" : "timeout";
    metrics.syncRequests.inc({ dialect: dialect.name, outcome: outcome.hasNews ? "news" : ended });
    if (!isTimed || !outcome.hasNews) return;
    const nowUs = microseconds(clock);
    for (const { roomId, timeline } of outcome.response.rooms) {
      // Counts alone waited for another reason to answer.
      if (timeline === undefined) continue;
      const room = memory.columns.find(roomId);
      const receivedUs = room === undefined ? 0 : memory.columns.receivedUs(room);
      if (receivedUs > 0) metrics.upstreamToAnswerSeconds.observe(Math.max(0, nowUs - receivedUs) / 1e6);
    }
  }
}

/** Of a client that has gone, or that has to renew its token, nothing may be saved. */
function throwIfGone(signal: AbortSignal): void {
  if (signal.reason instanceof TokenDoubtedError) throw signal.reason;
  if (signal.reason instanceof RequestEndedError && signal.reason.by === "client") throw signal.reason;
}
