import type { ReadCall } from "../../homeserver/get-as-user.ts";
import { finalAnswer } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import type { RoomId, UserNid } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { Database } from "../../store/database.ts";
import { RECALLS_CHANNEL, settleRecall, takeRecalls } from "../../store/recalls.ts";
import { askedSource } from "../fetch/asked-source.ts";
import type { Caller } from "../fetch/callers.ts";
import { UserPlaces } from "../fetch/user-places.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { type DepartedReads, type DepartedRoom, readDeparted } from "./read-departed.ts";

/** Rooms read at a time. More: the homeserver is strained. Fewer: rooms open late for many. */
const CONCURRENT_ROOMS = 4;

/** Rooms of one user read at a time. More: who subscribes to many rooms of others makes as many requests at once. */
const CONCURRENT_ROOMS_OF_USER = 1;

/** Rooms that may wait to be read. More: they come long after anybody waits for them. Fewer: peaks go without. */
const MAX_WAITING = 200;

/** A room is read for so long at most. Longer: a slow homeserver holds places. Shorter: large rooms do not come. */
const READ_MS = 30_000;

export type RecallOutcome = "brought" | "nothing" | "failed" | "dropped";

const DAY_SECONDS = 24 * 3_600;

/** After so many seconds it may be asked for again: what happens to a user in a room is told by their stream. */
const AGAIN_AFTER_SECONDS: Readonly<Record<RecallOutcome, number>> = {
  brought: DAY_SECONDS,
  nothing: DAY_SECONDS,
  failed: 60,
  dropped: 60,
};

export interface RecallQueueDeps extends DepartedReads {
  readonly db: Database;
  readonly store: Pick<PartStore, "bulk">;
  readonly callerOf: (userNid: UserNid) => Caller | undefined;
  /** Everything at or below it is stored. */
  readonly head: () => Promise<StreamPosition>;
  readonly nowUs: () => number;
  readonly onPosition: (position: StreamPosition) => void;
  readonly onSettled: (roomId: RoomId, outcome: RecallOutcome, error: Error | undefined) => void;
  readonly onError: (error: Error) => void;
}

/**
 * Asks the homeserver for rooms that clients subscribe to and of which nothing of their users is stored: they may have left them long
 * ago, of which no stream tells. Each is asked for once in a long time, be it in vain.
 */
export class RecallQueue {
  readonly #deps: RecallQueueDeps;
  readonly #end = new AbortController();
  readonly #places = new UserPlaces(CONCURRENT_ROOMS, CONCURRENT_ROOMS_OF_USER);
  readonly #running = new Set<Promise<void>>();

  constructor(deps: RecallQueueDeps) {
    this.#deps = deps;
  }

  /** Begins to listen for wants; what is disposed ends that, not what is being read. */
  async listen(): Promise<AsyncDisposable> {
    const onWanted = (payload: string) => this.#run(this.#take(Number(payload) as UserNid));
    return await this.#deps.db.listen(RECALLS_CHANNEL, onWanted, () => {});
  }

  /** Gives up what is being read and what waits. */
  async stop(): Promise<void> {
    this.#end.abort();
    await Promise.all(this.#running);
  }

  #run(work: Promise<void>): void {
    const running = work
      .catch((thrown: unknown) => {
        if (!this.#end.signal.aborted) this.#deps.onError(errorOf(thrown));
      })
      .finally(() => this.#running.delete(running));
    this.#running.add(running);
  }

  async #take(userNid: UserNid): Promise<void> {
    const { db, callerOf } = this.#deps;
    // Another process polls for the user, or none does yet.
    if (!Number.isSafeInteger(userNid) || callerOf(userNid) === undefined || this.#end.signal.aborted) return;
    for (const roomId of await takeRecalls(db, userNid)) this.#run(this.#recall(userNid, roomId));
  }

  async #recall(userNid: UserNid, roomId: RoomId): Promise<void> {
    if (this.#running.size > MAX_WAITING) return await this.#settle(userNid, roomId, "dropped", undefined);
    await this.#places.run(userNid, () => this.#recallNow(userNid, roomId), this.#end.signal);
  }

  async #recallNow(userNid: UserNid, roomId: RoomId): Promise<void> {
    const caller = this.#deps.callerOf(userNid);
    if (caller === undefined) return await this.#settle(userNid, roomId, "dropped", undefined);
    let error: Error | undefined;
    const outcome = await this.#bring(caller, roomId).catch((thrown: unknown): RecallOutcome => {
      error = errorOf(thrown);
      return isRefusal(error) ? "nothing" : "failed";
    });
    if (!this.#end.signal.aborted) await this.#settle(userNid, roomId, outcome, error);
  }

  async #settle(userNid: UserNid, roomId: RoomId, outcome: RecallOutcome, error: Error | undefined): Promise<void> {
    const { db, onPosition, onSettled } = this.#deps;
    onSettled(roomId, outcome, error);
    const position = await settleRecall(db, userNid, roomId, AGAIN_AFTER_SECONDS[outcome]);
    if (position !== undefined) onPosition(position);
  }

  async #bring({ device, token, forwarded }: Caller, roomId: RoomId): Promise<RecallOutcome> {
    const { head } = this.#deps;
    const storedBefore = await head();
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(READ_MS)]);
    const call: ReadCall = { token, forwarded, signal };
    const room = await readDeparted(this.#deps, call, { roomId, userId: device.userId });
    if (room === undefined) return "nothing";
    await this.#store(device, room, storedBefore);
    return "brought";
  }

  async #store(
    device: Caller["device"],
    { section, token }: DepartedRoom,
    storedBefore: StreamPosition,
  ): Promise<void> {
    const { store, nowUs } = this.#deps;
    await store.bulk({
      claim: device,
      source: askedSource(device, storedBefore, nowUs()),
      sections: [section],
      token,
      end: undefined,
      receivedUs: undefined,
      isRecalled: true,
    });
  }
}

/** What will be said again whenever it is asked. */
function isRefusal(error: Error): boolean {
  if (!(error instanceof UpstreamError)) return false;
  if (error.fault.kind === "malformed") return true;
  try {
    return finalAnswer(error).kind !== "found";
  } catch {
    return false;
  }
}
