import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomReads } from "../../homeserver/room-reads.ts";
import { isFinalStatus, type ValueReads } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import { parseJson } from "../../lib/json-value.ts";
import type { HistoryWant } from "../../model/history-want.ts";
import type { UserNid } from "../../model/ids.ts";
import { namesSomebody } from "../../model/ignored-users.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { Database } from "../../store/database.ts";
import { HISTORY_CHANNEL, settleHistory, takeHistory } from "../../store/history-wants.ts";
import type { Caller } from "../fetch/callers.ts";
import { UserPlaces } from "../fetch/user-places.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { readHistory } from "./read-history.ts";

/** Rooms read at a time. More: the homeserver is strained, and polls wait for connections. Fewer: rooms open late for many. */
const CONCURRENT_ROOMS = 8;

/** Rooms of one user read at a time, so that nobody takes all places. Fewer: rooms of one screen come one after the other. */
const CONCURRENT_ROOMS_OF_USER = 3;

/** Rooms that may wait to be read. More: they come long after anybody waits for them. Fewer: peaks go without. */
const MAX_WAITING = 200;

/** A room is read for so long at most. Longer: a slow homeserver holds places. Shorter: large pages do not come. */
const READ_MS = 10_000;

export type HistoryOutcome = "brought" | "nothing" | "refused" | "invalid" | "failed" | "dropped";

const HOUR_SECONDS = 3_600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** After so many seconds it may be asked for again: what the homeserver has said does not change soon, where it was away it is back soon. */
const AGAIN_AFTER_SECONDS: Readonly<Record<HistoryOutcome, number>> = {
  brought: HOUR_SECONDS,
  nothing: DAY_SECONDS,
  refused: 30 * DAY_SECONDS,
  invalid: DAY_SECONDS,
  failed: 60,
  dropped: 60,
};

export interface HistoryQueueDeps {
  readonly db: Database;
  readonly rooms: Pick<RoomReads, "messagesBefore">;
  readonly values: Pick<ValueReads, "accountData">;
  readonly store: Pick<PartStore, "live">;
  readonly callerOf: (userNid: UserNid) => Caller | undefined;
  /** Everything at or below it is stored. */
  readonly head: () => Promise<StreamPosition>;
  readonly nowUs: () => number;
  readonly onPosition: (position: StreamPosition) => void;
  readonly onSettled: (want: HistoryWant, outcome: HistoryOutcome, error: Error | undefined) => void;
  readonly onError: (error: Error) => void;
}

/**
 * Fetches older events that answers lack, as the users who want them, and stores them. Nobody depends on it: a client reads
 * back by itself what does not come in time. So nothing is tried again before it is wanted again.
 */
export class HistoryQueue {
  readonly #deps: HistoryQueueDeps;
  readonly #end = new AbortController();
  readonly #places = new UserPlaces(CONCURRENT_ROOMS, CONCURRENT_ROOMS_OF_USER);
  readonly #running = new Set<Promise<void>>();

  constructor(deps: HistoryQueueDeps) {
    this.#deps = deps;
  }

  /** Begins to listen for wants; what is disposed ends that, not what is being read. */
  async listen(): Promise<AsyncDisposable> {
    const onWanted = (payload: string) => this.#run(this.#take(Number(payload) as UserNid));
    return await this.#deps.db.listen(HISTORY_CHANNEL, onWanted, () => {});
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
    for (const want of await takeHistory(db, userNid)) this.#run(this.#fetch(userNid, want));
  }

  async #fetch(userNid: UserNid, want: HistoryWant): Promise<void> {
    const { signal } = this.#end;
    if (this.#running.size > MAX_WAITING) return await this.#settle(userNid, want, "dropped", undefined);
    await this.#places.run(userNid, () => this.#fetchNow(userNid, want), signal);
  }

  async #fetchNow(userNid: UserNid, want: HistoryWant): Promise<void> {
    const caller = this.#deps.callerOf(userNid);
    if (caller === undefined) return await this.#settle(userNid, want, "dropped", undefined);
    let error: Error | undefined;
    const outcome = await this.#bring(caller, want).catch((thrown: unknown) => {
      error = errorOf(thrown);
      return outcomeOf(error);
    });
    if (!this.#end.signal.aborted) await this.#settle(userNid, want, outcome, error);
  }

  async #settle(userNid: UserNid, want: HistoryWant, outcome: HistoryOutcome, error: Error | undefined): Promise<void> {
    const { db, onPosition, onSettled } = this.#deps;
    onSettled(want, outcome, error);
    const position = await settleHistory(db, userNid, want, AGAIN_AFTER_SECONDS[outcome]);
    if (position !== undefined) onPosition(position);
  }

  async #bring(caller: Caller, want: HistoryWant): Promise<HistoryOutcome> {
    const { rooms, store, head, nowUs } = this.#deps;
    const { device, token, forwarded } = caller;
    const signal = AbortSignal.any([this.#end.signal, AbortSignal.timeout(READ_MS)]);
    const call: ReadCall = { token, forwarded, signal };
    const storedBefore = await head();
    const [section, ignores] = await Promise.all([
      // What cannot be stored is told when a sync brings it.
      readHistory(rooms, call, want, () => undefined),
      this.#ignoresSomebody(caller, call),
    ]);
    if (section.timeline.length === 0) return "nothing";
    const { userNid, userId, deviceNid } = device;
    await store.live({
      claim: device,
      source: {
        userNid,
        userId,
        deviceNid,
        ignoresSomebody: ignores,
        poll: "history",
        storedBefore,
        toldUpTo: undefined,
        lastSeen: new Map(want.anchor === undefined ? [] : [[want.roomId, want.anchor]]),
        nowUs: nowUs(),
      },
      sections: [section],
      token: undefined,
      end: undefined,
      receivedUs: undefined,
      history: { visibility: want.visibility },
    });
    return "brought";
  }

  /** Whom a user ignores may have changed since their stream told of it. Where it cannot be told, they do. */
  async #ignoresSomebody({ device }: Caller, call: ReadCall): Promise<boolean> {
    const answer = await this.#deps.values
      .accountData(call, device.userId, undefined, "m.ignored_user_list")
      .catch(() => undefined);
    if (answer === undefined || answer.kind !== "found") return answer?.kind !== "absent";
    return namesSomebody(parseJson(answer.raw));
  }
}

function outcomeOf(error: Error): HistoryOutcome {
  if (!(error instanceof UpstreamError)) return "failed";
  const { fault } = error;
  if (fault.kind === "malformed") return "invalid";
  return fault.kind === "status" && isFinalStatus(fault.status) ? "refused" : "failed";
}
