import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { errorOf } from "../lib/error-of.ts";
import type { RoomId, UserNid } from "../model/ids.ts";
import { selectHead } from "../store/changes.ts";
import type { Database } from "../store/database.ts";
import { askRecalls, isRecallPending, RECALLS_CHANNEL } from "../store/recalls.ts";
import type { Stream } from "../stream/stream.ts";
import { askAndWait } from "./ask-and-wait.ts";

/** Rooms that one answer asks for; others follow with the next ones. More: who subscribes to all rooms there are makes long work of it. */
const MAX_ROOMS = 10;

/** What was asked for is not noted again within this time. Longer: after a failure a room comes later. Shorter: a write per answer. */
const QUIET_MS = 60_000;
/** Rooms remembered. More: memory. Fewer: the database is asked again. */
const MAX_REMEMBERED = 50_000;

/** How much longer than its client would wait for news an answer with nothing to say may take, as before the first sync is there. */
const BEYOND_TIMEOUT_MS = 2_000;

interface RecallsDeps {
  readonly db: Database;
  readonly stream: Stream;
  readonly clock: Clock;
  readonly onWaited: (outcome: "settled" | "late") => void;
  /** The answer goes without. */
  readonly onError: (error: Error) => void;
}

/** Has rooms asked for that clients subscribe to and of which nothing of their users is stored, by whoever polls for these. */
export class Recalls {
  readonly #deps: RecallsDeps;
  /** For how long an answer with nothing to say is held. */
  readonly #initialWaitMs: number;
  /** When it was asked for here. */
  readonly #asked = new LRUCache<string, number>({ max: MAX_REMEMBERED });

  constructor(deps: RecallsDeps, initialWaitMs: number) {
    this.#deps = deps;
    this.#initialWaitMs = initialWaitMs;
  }

  /**
   * Asks for rooms. With the `timeoutMs` that the client names it waits until it is known what they are. true: it is, so that an
   * answer may show more now. Never rejects.
   */
  async bring(
    userNid: UserNid,
    rooms: readonly RoomId[],
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      return await this.#bring(userNid, rooms, timeoutMs, signal);
    } catch (error) {
      this.#deps.onError(errorOf(error));
      return false;
    }
  }

  async #bring(
    userNid: UserNid,
    rooms: readonly RoomId[],
    timeoutMs: number | undefined,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { db, stream, clock, onWaited } = this.#deps;
    const startedMs = clock.nowMs();
    const isOpen = (roomId: RoomId) => startedMs - (this.#asked.get(`${userNid} ${roomId}`) ?? -Infinity) >= QUIET_MS;
    const open = rooms.filter(isOpen).slice(0, MAX_ROOMS);
    if (open.length === 0) return false;
    const limitMs = this.#limitMs(timeoutMs);
    const ask = async () => {
      if (await askRecalls(db, userNid, open)) await db.notify(RECALLS_CHANNEL, String(userNid));
      for (const roomId of open) this.#asked.set(`${userNid} ${roomId}`, startedMs);
    };
    if (limitMs === 0) {
      await ask();
      return false;
    }
    const isPending = () => isRecallPending(db, userNid, open);
    const isSettled = await askAndWait(stream, { userNid, limitMs, signal, ask, isPending });
    onWaited(isSettled ? "settled" : "late");
    if (signal.aborted || !isSettled) return false;
    const leftMs = Math.max(0, startedMs + limitMs - clock.nowMs());
    return await stream.reached(await selectHead(db), leftMs, signal);
  }

  #limitMs(timeoutMs: number | undefined): number {
    if (timeoutMs === undefined) return 0;
    return Math.min(this.#initialWaitMs, timeoutMs > 0 ? timeoutMs + BEYOND_TIMEOUT_MS : Number.POSITIVE_INFINITY);
  }
}
