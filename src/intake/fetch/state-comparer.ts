import type { RoomReads } from "../../homeserver/room-reads.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import type { Clock } from "../../lib/clock.ts";
import { errorOf } from "../../lib/error-of.ts";
import { pause } from "../../lib/pause.ts";
import type { RoomId } from "../../model/ids.ts";
import { stateKeyOf } from "../../model/room-facts.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { deleteContests, upsertContests } from "../../store/contests.ts";
import type { Database } from "../../store/database.ts";
import { beginCompare, selectCurrentState } from "../../store/reconcile.ts";
import { type Asker, type Contest, questionKey, type Suspicion } from "../ingest/contest.ts";
import { rowOf } from "../ingest/contest-rows.ts";
import type { Caller, Callers } from "./callers.ts";
import type { FetchQueue } from "./fetch-queue.ts";
import { afterRefusal, assertRefusal } from "./gone-from.ts";
import { StateComparison, type StateDrift } from "./state-comparison.ts";

/**
 * A room's state is compared once in so long at most. Shorter: a large room, which some user always comes back to, strains the
 * homeserver. Longer: what a gap hides is found later.
 */
const AGAIN_MS = 10 * 60_000;

/** The first wait after a failure, which doubles. Shorter: a homeserver that is away is asked in vain. Longer: a hiccup is seen. */
const RETRY_MS = 60_000;

/** Time between two comparisons, at least; never less than the last one took. Shorter: they strain the homeserver. */
const REST_MS = 200;

/**
 * What differs is looked at again after so long: what has just happened comes with the streams. Shorter: it is taken for
 * drift.
 */
const SETTLE_MS = 1_000;

/** Rooms that wait to be compared. More: memory. Fewer: they wait for the next time that their user comes back. */
const MAX_WAITING = 1_000;

/** Users as whom one room may be read, and failures after which it is left. More: no use. Fewer: a hiccup ends it. */
const MAX_ASKERS = 4;
const MAX_FAILURES = 5;

export interface StateComparerDeps {
  readonly db: Database;
  readonly rooms: Pick<RoomReads, "currentState">;
  readonly values: Pick<ValueReads, "joinedRooms">;
  readonly callers: Callers;
  readonly ask: Pick<FetchQueue, "add">;
  readonly head: () => Promise<StreamPosition>;
  readonly clock: Clock;
  readonly onStateDrift: (asker: Asker, roomId: RoomId, drift: readonly StateDrift[]) => void;
  readonly onCompareFailed: (roomId: RoomId, error: Error) => void;
}

interface Waiting {
  askers: readonly Asker[];
  dueMs: number;
  failures: number;
}

/**
 * Compares the stored state of rooms with the homeserver's, one room after the other. Each key that differs is asked for by
 * itself, so that no list changes anything by what it holds or leaves out.
 */
export class StateComparer {
  readonly #deps: StateComparerDeps;
  readonly #waiting = new Map<RoomId, Waiting>();
  readonly #end = new AbortController();
  #running: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: StateComparerDeps) {
    this.#deps = deps;
  }

  /** Rooms to be compared, each as a user who is in it. */
  add(rooms: readonly Omit<Suspicion, "kind">[]): void {
    if (this.#end.signal.aborted) return;
    for (const { roomId, userNid, userId } of rooms) {
      const known = this.#waiting.get(roomId);
      const others = known?.askers.filter((asker) => asker.userNid !== userNid) ?? [];
      if (others.length >= MAX_ASKERS || (known === undefined && this.#waiting.size >= MAX_WAITING)) continue;
      const askers = [...others, { userNid, userId }];
      if (known === undefined) this.#waiting.set(roomId, { askers, dueMs: 0, failures: 0 });
      else known.askers = askers;
    }
    this.#pump();
  }

  async stop(): Promise<void> {
    this.#end.abort();
    clearTimeout(this.#timer);
    await this.#running;
  }

  #pump(): void {
    if (this.#running !== undefined || this.#end.signal.aborted) return;
    clearTimeout(this.#timer);
    const nowMs = this.#deps.clock.nowMs();
    const due = [...this.#waiting].find(([, { dueMs }]) => dueMs <= nowMs);
    if (due !== undefined) {
      this.#running = this.#turn(...due).finally(() => {
        this.#running = undefined;
        this.#pump();
      });
    } else if (this.#waiting.size > 0) {
      const nextMs = Math.min(...[...this.#waiting.values()].map(({ dueMs }) => dueMs));
      this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(nextMs - nowMs))).unref();
    }
  }

  /** Never rejects. */
  async #turn(roomId: RoomId, room: Waiting): Promise<void> {
    const startedMs = performance.now();
    try {
      const isOver = await this.#compare(roomId, room);
      if (isOver) this.#waiting.delete(roomId);
      else room.dueMs = this.#deps.clock.nowMs() + AGAIN_MS;
    } catch (thrown) {
      if (this.#end.signal.aborted) return;
      room.failures += 1;
      room.dueMs = this.#deps.clock.nowMs() + RETRY_MS * 2 ** (room.failures - 1);
      if (room.failures > MAX_FAILURES) this.#waiting.delete(roomId);
      this.#deps.onCompareFailed(roomId, errorOf(thrown));
    }
    await pause(Math.max(REST_MS, performance.now() - startedMs), this.#end.signal);
  }

  /** false: later. Who is not polled here any more is asked for it again when they are. */
  async #compare(roomId: RoomId, room: Waiting): Promise<boolean> {
    const { db, callers, ask, onStateDrift } = this.#deps;
    const { askers } = room;
    if (askers.every(({ userNid }) => callers.of(userNid) === undefined)) return true;
    if (!(await beginCompare(db, roomId, AGAIN_MS))) return false;
    for (const asker of askers) {
      const caller = callers.of(asker.userNid);
      const drift = caller && (await this.#driftOf(roomId, caller));
      if (drift === undefined) continue;
      if (drift.length > 0) onStateDrift(asker, roomId, drift);
      const contests = drift.map(({ type, stateKey }): Contest => {
        return { ...asker, kind: "state", roomId, type, stateKey, isMissing: false };
      });
      // Kept before the suspicion goes, so that one of them outlives this process.
      await upsertContests(db, contests.map(rowOf));
      await deleteContests(db, [questionKey({ ...asker, kind: "room-state", roomId })]);
      ask.add(contests);
      // Who asked for it meanwhile did so after the homeserver was asked.
      return room.askers === askers;
    }
    return true;
  }

  /** undefined: the user does not see the room. Then it is looked whether they are in it. */
  async #driftOf(roomId: RoomId, { device, token, forwarded }: Caller): Promise<readonly StateDrift[] | undefined> {
    const { db, rooms, values, ask, head } = this.#deps;
    const { userId } = device;
    const call = { token, forwarded, signal: this.#end.signal };
    const storedBefore = await head();
    const { values: stored, areMembersKnown } = await selectCurrentState(db, roomId);
    const comparison = new StateComparison({ roomId, userId, stored, areMembersKnown, storedBefore });
    try {
      await rooms.currentState(call, roomId, (raw) => comparison.add(raw));
    } catch (error) {
      assertRefusal(error);
    }
    const drift = comparison.end();
    if (drift === undefined) ask.add(await afterRefusal(values, call, device, roomId));
    if (drift === undefined || drift.length === 0) return drift;
    await pause(SETTLE_MS, this.#end.signal);
    const { values: now } = await selectCurrentState(db, roomId);
    const stays = (key: string) => now.get(key)?.position === stored.get(key)?.position;
    return drift.filter(({ type, stateKey }) => stays(stateKeyOf(type, stateKey)));
  }
}
