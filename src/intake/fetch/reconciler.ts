import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import { Semaphore } from "../../lib/semaphore.ts";
import type { RoomId, UserNid } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { Database } from "../../store/database.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import { beginReconcile, selectOwnRooms, selectRoomsToCompare, selectWholeRooms } from "../../store/reconcile.ts";
import { type PreviewDeps, storePreview } from "../first-window/store-preview.ts";
import type { Contest } from "../ingest/contest.ts";
import type { Caller, Callers } from "./callers.ts";
import { type Drift, driftOf } from "./drift.ts";
import type { FetchQueue } from "./fetch-queue.ts";
import { goneFrom } from "./gone-from.ts";
import type { StateComparer } from "./state-comparer.ts";

/** A user's rooms are compared once in so long at most. Shorter: a large account that comes and goes strains the homeserver. */
const EVERY_MS = 60 * 60_000;

/** Users whose rooms are compared at a time. More: a restart, after which all catch up, strains the homeserver. */
const MAX_USERS = 2;

/**
 * Rooms of one user whose state is compared each time, where that was not done for {@link STATE_EVERY_MS}. More, or more often:
 * the homeserver computes whole states all the time. Fewer: what no stream tells stands wrong for longer.
 */
const STATE_ROOMS = 3;
const STATE_EVERY_MS = 24 * 60 * 60_000;

/** Unknown rooms of one user that are read whole; the rest follows next time. More: one broken account occupies all. */
const MAX_WHOLE_ROOMS = 20;

export interface ReconcilerDeps extends PreviewDeps {
  readonly db: Database;
  readonly values: ValueReads;
  readonly callers: Callers;
  readonly ask: Pick<FetchQueue, "add">;
  readonly head: () => Promise<StreamPosition>;
  readonly state: Pick<StateComparer, "add" | "stop">;
  readonly onDrift: (device: ClaimedDevice, drift: Drift) => void;
  readonly onFailed: (device: ClaimedDevice, error: Error) => void;
}

/**
 * Compares the rooms that the store has a user in with those that the homeserver has them in, when a device comes back and
 * then once an hour, and has the state of a few of them compared. What differs is asked for
 * room by room, so that no answer puts a user out of a room by what it leaves out alone; rooms that are not stored whole are
 * read whole.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #places = new Semaphore(MAX_USERS);
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();
  /** A device of each user whose streams have told what happened before. */
  readonly #caughtUp = new Map<UserNid, ClaimedDevice>();
  readonly #timer: NodeJS.Timeout;

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
    this.#timer = setInterval(() => this.#tick(), EVERY_MS).unref();
  }

  /** What happened while the device was not polled is stored, as far as its stream tells of it. */
  caughtUp(device: ClaimedDevice): void {
    this.#caughtUp.set(device.userNid, device);
    // A first sync has just told of all rooms.
    if (device.since !== undefined) this.#begin(device);
  }

  #tick(): void {
    for (const [userNid, device] of this.#caughtUp) {
      if (this.#deps.callers.of(userNid) === undefined) this.#caughtUp.delete(userNid);
      else this.#begin(device);
    }
  }

  #begin(device: ClaimedDevice): void {
    const running = this.#places
      .run(() => this.#reconcile(device), this.#end.signal)
      .catch((thrown: unknown) => {
        if (!this.#end.signal.aborted) this.#deps.onFailed(device, errorOf(thrown));
      })
      .finally(() => this.#running.delete(running)) as Promise<void>;
    this.#running.add(running);
  }

  async stop(): Promise<void> {
    this.#end.abort();
    clearInterval(this.#timer);
    await this.#deps.state.stop();
    await Promise.all(this.#running);
  }

  async #reconcile(device: ClaimedDevice): Promise<void> {
    const { db, callers, state } = this.#deps;
    const { userNid, userId } = device;
    const caller = callers.of(userNid);
    if (caller === undefined || !(await beginReconcile(db, userNid, EVERY_MS))) return;
    await this.#compareRooms(device, caller);
    const rooms = await selectRoomsToCompare(db, userNid, { everyMs: STATE_EVERY_MS, limit: STATE_ROOMS });
    state.add(rooms.map((roomId) => ({ roomId, userNid, userId })));
  }

  async #compareRooms(device: ClaimedDevice, caller: Caller): Promise<void> {
    const { db, values, head, ask, onDrift } = this.#deps;
    const storedBefore = await head();
    const joined = await values.joinedRooms(this.#call(caller));
    const stored = await selectOwnRooms(db, device.userNid);
    const drift = driftOf(joined, stored, storedBefore);
    if (drift.gone.length + drift.missing.length === 0) return;
    onDrift(device, drift);
    const whole = await selectWholeRooms(db, drift.missing);
    const membershipIn = (roomId: RoomId) => stored.get(roomId)?.membership ?? Membership.leave;
    ask.add([
      ...drift.gone.map((roomId) => goneFrom(device, roomId, membershipIn(roomId))),
      ...drift.missing.flatMap((roomId) =>
        whole.has(roomId) ? [{ ...goneFrom(device, roomId, membershipIn(roomId)), claimed: undefined } as Contest] : [],
      ),
    ]);
    const unknown = drift.missing.filter((roomId) => !whole.has(roomId));
    for (const roomId of unknown.slice(0, MAX_WHOLE_ROOMS)) await this.#readWhole(caller, roomId);
  }

  #call({ token, forwarded }: Caller): ReadCall {
    return { token, forwarded, signal: this.#end.signal };
  }

  /** A room that cannot be read is left for the next time. */
  async #readWhole(caller: Caller, roomId: RoomId): Promise<void> {
    const { head, onFailed } = this.#deps;
    const { device } = caller;
    try {
      const storedBefore = await head();
      await storePreview(this.#deps, device, this.#call(caller), { roomId, storedBefore });
    } catch (error) {
      if (!this.#end.signal.aborted) onFailed(device, errorOf(error));
    }
  }
}
