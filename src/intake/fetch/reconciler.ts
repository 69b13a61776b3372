import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import { errorOf } from "../../lib/error-of.ts";
import { Semaphore } from "../../lib/semaphore.ts";
import type { RoomId } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { Database } from "../../store/database.ts";
import type { ClaimedDevice } from "../../store/devices.ts";
import { beginReconcile, type OwnRoom, selectOwnRooms, selectWholeRooms } from "../../store/reconcile.ts";
import { type PreviewDeps, storePreview } from "../first-window/store-preview.ts";
import type { Contest, MembershipContest } from "../ingest/contest.ts";
import type { Caller, Callers } from "./callers.ts";
import { type Drift, driftOf } from "./drift.ts";
import type { FetchQueue } from "./fetch-queue.ts";

/** A user's rooms are compared once in so long at most. Shorter: a large account that comes and goes strains the homeserver. */
const EVERY_MS = 60 * 60_000;

/** Users whose rooms are compared at a time. More: a restart, after which all catch up, strains the homeserver. */
const MAX_USERS = 2;

/** Unknown rooms of one user that are read whole; the rest follows next time. More: one broken account occupies all. */
const MAX_WHOLE_ROOMS = 20;

export interface ReconcilerDeps extends PreviewDeps {
  readonly db: Database;
  readonly values: ValueReads;
  readonly callers: Callers;
  readonly ask: Pick<FetchQueue, "add">;
  readonly head: () => Promise<StreamPosition>;
  readonly onDrift: (device: ClaimedDevice, drift: Drift) => void;
  readonly onFailed: (device: ClaimedDevice, error: Error) => void;
}

/**
 * Compares the rooms that the store has a user in with those that the homeserver has them in. What differs is asked for
 * room by room, so that no answer puts a user out of a room by what it leaves out alone; rooms that are not stored whole are
 * read whole.
 */
export class Reconciler {
  readonly #deps: ReconcilerDeps;
  readonly #places = new Semaphore(MAX_USERS);
  readonly #end = new AbortController();
  readonly #running = new Set<Promise<void>>();

  constructor(deps: ReconcilerDeps) {
    this.#deps = deps;
  }

  /** What happened while the device was not polled is stored, as far as its stream tells of it. */
  caughtUp(device: ClaimedDevice): void {
    // A first sync has just told of all rooms.
    if (device.since === undefined) return;
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
    await Promise.all(this.#running);
  }

  async #reconcile(device: ClaimedDevice): Promise<void> {
    const { db, values, callers, head, ask, onDrift } = this.#deps;
    const caller = callers.of(device.userNid);
    if (caller === undefined || !(await beginReconcile(db, device.userNid, EVERY_MS))) return;
    const storedBefore = await head();
    const joined = await values.joinedRooms(this.#call(caller));
    const stored = await selectOwnRooms(db, device.userNid);
    const drift = driftOf(joined, stored, storedBefore);
    if (drift.gone.length + drift.missing.length === 0) return;
    onDrift(device, drift);
    const whole = await selectWholeRooms(db, drift.missing);
    ask.add([
      ...drift.gone.map((roomId) => this.#contest(device, roomId, stored, GONE)),
      ...drift.missing.flatMap((roomId) =>
        whole.has(roomId) ? [this.#contest(device, roomId, stored, undefined)] : [],
      ),
    ]);
    const unknown = drift.missing.filter((roomId) => !whole.has(roomId));
    for (const roomId of unknown.slice(0, MAX_WHOLE_ROOMS)) await this.#readWhole(caller, roomId);
  }

  #call({ token, forwarded }: Caller): ReadCall {
    return { token, forwarded, signal: this.#end.signal };
  }

  #contest(
    { userNid, userId }: ClaimedDevice,
    roomId: RoomId,
    stored: ReadonlyMap<RoomId, OwnRoom>,
    claimed: MembershipContest["claimed"],
  ): Contest {
    const membership = stored.get(roomId)?.membership ?? Membership.leave;
    return { kind: "membership", userNid, userId, roomId, stored: membership, claimed };
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

/** The homeserver names the room no more. */
const GONE: MembershipContest["claimed"] = { kind: "leave", stripped: [], own: [] };
