import { assembleSync, type SyncOutcome } from "../engine/assemble.ts";
import { memberReads } from "../engine/members.ts";
import { planSync } from "../engine/plan.ts";
import type { SyncRequest } from "../engine/request.ts";
import type { SyncResponse } from "../engine/response.ts";
import { type Clock, microseconds } from "../lib/clock.ts";
import { NewestFirst } from "../lib/newest-first.ts";
import type { Logger } from "../logging/logger.ts";
import type { Metrics } from "../metrics/metrics.ts";
import type { CallingDevice } from "../model/calling-device.ts";
import { ClientError } from "../model/client-error.ts";
import type { DialectName } from "../model/dialect-name.ts";
import { RequestEndedError } from "../model/request-ended-error.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import { UnavailableError } from "../model/unavailable-error.ts";
import type { ConnectionKey } from "../store/connections.ts";
import { DatabaseUnavailableError } from "../store/database-errors.ts";
import type { Memory } from "../store/memory.ts";
import { type RoomReaderDeps, readMembers, readRooms } from "../store/room-reader.ts";
import type { Stream } from "../stream/stream.ts";
import type { Connections, OpenConnection } from "./connections.ts";
import type { Devices, KnownDevice } from "./devices.ts";
import { longPoll } from "./long-poll.ts";
import type { PosCodec } from "./pos.ts";

/**
 * How long an answer may wait for this process to catch up with a `pos` that another process issued. Longer: clients time
 * out instead. Shorter: a short stall of the database becomes an error.
 */
const CATCH_UP_LIMIT_MS = 5_000;

export interface SyncServiceDeps {
  readonly devices: Devices;
  readonly connections: Connections;
  readonly pos: PosCodec;
  readonly memory: Memory;
  readonly rooms: RoomReaderDeps;
  readonly stream: Stream;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Pick<
    Metrics,
    | "syncRequests"
    | "syncComputeSeconds"
    | "upstreamToAnswerSeconds"
    | "unknownPositions"
    | "waitingRequests"
    | "setAside"
  >;
  /** Upper bound for a client's timeout, in milliseconds. */
  readonly maxTimeoutMs: number;
}

export interface SyncServiceCall {
  readonly device: CallingDevice;
  readonly dialect: { readonly name: DialectName };
  readonly request: SyncRequest;
  readonly signal: AbortSignal;
}

export interface SyncAnswer {
  readonly response: SyncResponse;
  /** Where the client goes on. */
  readonly pos: string;
}

/** Answers sync requests: one computation for first and later requests, from what is stored. */
export class SyncService {
  readonly #deps: SyncServiceDeps;
  readonly #byConnection = new NewestFirst<string>();

  constructor(deps: SyncServiceDeps) {
    this.#deps = deps;
  }

  /** Throws `ClientError`, `UnavailableError`, or the reason of the signal when the client has gone. */
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
    const known = await this.#deps.devices.ensure(device, timeoutMs, signal);
    const key = { userNid: known.userNid, deviceId: device.deviceId, connId: request.connId };
    return await this.#byConnection.run(JSON.stringify(Object.values(key)), (superseded) =>
      this.#answerOn(key, known, { ...call, signal: AbortSignal.any([signal, superseded]) }, timeoutMs),
    );
  }

  async #answerOn(
    key: ConnectionKey,
    known: KnownDevice,
    call: SyncServiceCall,
    timeoutMs: number,
  ): Promise<SyncAnswer> {
    const { connections, pos, stream } = this.#deps;
    const { open, from } = await this.#open(key, call);
    if (from !== undefined) await this.#catchUpWith(from, call.signal);
    let to = stream.position;
    const { outcome, hasWaited } = await longPoll(stream, {
      userNid: known.userNid,
      // A request without pos is answered at once, whatever its timeout (MSC4186 "Long-polling").
      timeoutMs: from === undefined ? 0 : timeoutMs,
      signal: call.signal,
      onWaiting: (change) => this.#deps.metrics.waitingRequests.add(change),
      compute: async () => {
        to = stream.position;
        return await this.#compute(call, known, open, from, to);
      },
    });
    this.#throwIfGone(call.signal);
    const stands = await connections.save(key, open, outcome.delta);
    if (stands === undefined) throw this.#unknownPos("superseded");
    this.#observe(call, outcome, hasWaited);
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

  async #catchUpWith(from: StreamPosition, signal: AbortSignal): Promise<void> {
    const { stream } = this.#deps;
    if (stream.position >= from) return;
    await stream.reached(from, AbortSignal.any([signal, AbortSignal.timeout(CATCH_UP_LIMIT_MS)]));
    if (stream.position < from) throw new UnavailableError("This server is catching up; try again", 1_000);
  }

  async #compute(
    { request, device, dialect }: SyncServiceCall,
    { userNid, deviceNid }: KnownDevice,
    { state }: OpenConnection,
    from: StreamPosition | undefined,
    to: StreamPosition,
  ): Promise<SyncOutcome> {
    const { memory, rooms, metrics } = this.#deps;
    const startedMs = performance.now();
    const { userId } = device;
    const { rooms: readerRooms } = await memory.reader(userNid, userId);
    const view = { userNid, userId, facts: memory.columns, rooms: readerRooms };
    const plan = planSync({ request, connection: state, from, to, view });
    const data = await readRooms(rooms, plan.reads, { userNid, userId, deviceNid, to });
    const members = await readMembers(rooms, memberReads(plan, data), to);
    const outcome = assembleSync(plan, data, members);
    for (const { room, error } of outcome.failedRooms) {
      metrics.setAside.inc({ what: "room" });
      this.#deps.log.error({ room, err: error }, "a room could not be rendered and was left out of an answer");
    }
    const kind = from === undefined ? "initial" : "delta";
    metrics.syncComputeSeconds.observe({ dialect: dialect.name, kind }, (performance.now() - startedMs) / 1000);
    return outcome;
  }

  #throwIfGone(signal: AbortSignal): void {
    if (signal.reason instanceof RequestEndedError && signal.reason.by === "client") throw signal.reason;
  }

  #unknownPos(reason: "malformed" | "no_connection" | "superseded"): ClientError {
    this.#deps.metrics.unknownPositions.inc({ reason });
    return new ClientError("M_UNKNOWN_POS", "Unknown position");
  }

  #observe({ dialect }: SyncServiceCall, outcome: SyncOutcome, hasWaited: boolean): void {
    const { metrics, memory, clock } = this.#deps;
    metrics.syncRequests.inc({ dialect: dialect.name, outcome: outcome.hasNews ? "news" : "timeout" });
    if (!hasWaited || !outcome.hasNews) return;
    const nowUs = microseconds(clock);
    for (const { roomId } of outcome.response.rooms) {
      const room = memory.columns.find(roomId);
      const receivedUs = room === undefined ? 0 : memory.columns.receivedUs(room);
      if (receivedUs > 0) metrics.upstreamToAnswerSeconds.observe(Math.max(0, nowUs - receivedUs) / 1e6);
    }
  }
}
