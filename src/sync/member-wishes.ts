import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { errorOf } from "../lib/error-of.ts";
import type { RoomNid, UserNid } from "../model/ids.ts";
import type { Database } from "../store/database.ts";
import { MEMBER_WISHES_CHANNEL, wishMembers } from "../store/member-wishes.ts";

/** A wish is not said again for so long. Longer: one that is new since waits. Shorter: writes for each answer. */
const AGAIN_MS = 2_000;

/** Rooms whose members one answer may wish for; others follow as they change. More: one request occupies all. */
const MAX_ROOMS = 100;

/** Wishes remembered. */
const MAX_KNOWN = 50_000;

interface MemberWishesDeps {
  readonly db: Database;
  readonly clock: Clock;
  /** Whether all members of a room are known by now. */
  readonly areKnown: (room: RoomNid) => boolean;
  readonly onError: (error: Error) => void;
}

/** Tells the pollers' side that clients want all members of rooms. */
export class MemberWishes implements Disposable {
  readonly #deps: MemberWishesDeps;
  readonly #saidMs = new LRUCache<RoomNid, number>({ max: MAX_KNOWN });
  /** Wishes that came too soon after another one, which may have been granted before these. */
  readonly #later = new Map<RoomNid, UserNid>();
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: MemberWishesDeps) {
    this.#deps = deps;
  }

  /** Rooms that the user is in and whose members are not all known. Never rejects: an answer has what is known without it. */
  async raise(userNid: UserNid, rooms: readonly RoomNid[]): Promise<void> {
    if (rooms.length === 0) return;
    const nowMs = this.#deps.clock.nowMs();
    const isSaid = (room: RoomNid) => nowMs - (this.#saidMs.get(room) ?? Number.NEGATIVE_INFINITY) < AGAIN_MS;
    const wanted = rooms.slice(0, MAX_ROOMS);
    for (const room of wanted.filter(isSaid)) this.#postpone(room, userNid);
    const fresh = wanted.filter((room) => !isSaid(room));
    if (fresh.length === 0) return;
    for (const room of fresh) this.#saidMs.set(room, nowMs);
    try {
      await wishMembers(this.#deps.db, userNid, fresh);
      await this.#deps.db.notify(MEMBER_WISHES_CHANNEL, "");
    } catch (error) {
      this.#deps.onError(errorOf(error));
    }
  }

  [Symbol.dispose](): void {
    clearTimeout(this.#timer);
  }

  #postpone(room: RoomNid, userNid: UserNid): void {
    if (this.#later.size < MAX_KNOWN) this.#later.set(room, userNid);
    this.#timer ??= setTimeout(() => this.#raiseAgain(), AGAIN_MS).unref();
  }

  #raiseAgain(): void {
    this.#timer = undefined;
    const later = [...this.#later].filter(([room]) => !this.#deps.areKnown(room));
    this.#later.clear();
    const byUser = Map.groupBy(later, ([, userNid]) => userNid);
    for (const [userNid, wishes] of byUser) {
      void this.raise(
        userNid,
        wishes.map(([room]) => room),
      );
    }
  }
}
