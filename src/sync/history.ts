import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { errorOf } from "../lib/error-of.ts";
import type { HistoryWant } from "../model/history-want.ts";
import type { UserNid } from "../model/ids.ts";
import { selectHead } from "../store/changes.ts";
import type { Database } from "../store/database.ts";
import { askHistory, HISTORY_CHANNEL, isHistoryPending } from "../store/history-wants.ts";
import type { Stream } from "../stream/stream.ts";
import { askAndWait } from "./ask-and-wait.ts";

/** An answer waits so long for history at most. Longer: rooms open late. Shorter: what a client asked for comes by its own scrolling back. */
const WAIT_MS = 300;

/** What was asked for is not noted again within this time. Longer: after a failure the next answers go without. Shorter: a write per answer. */
const QUIET_MS = 60_000;
/** Wants remembered. More: memory. Fewer: the database is asked again. */
const MAX_REMEMBERED = 10_000;

interface HistoryDeps {
  readonly db: Database;
  readonly stream: Stream;
  readonly clock: Clock;
  readonly onWaited: (outcome: "settled" | "late") => void;
  /** The answer goes without. */
  readonly onError: (error: Error) => void;
}

/** Has history brought in that an answer lacks. The homeserver is asked beside, by whoever polls for the user. */
export class History {
  readonly #deps: HistoryDeps;
  /** When it was asked for here. */
  readonly #asked = new LRUCache<string, number>({ max: MAX_REMEMBERED });

  constructor(deps: HistoryDeps) {
    this.#deps = deps;
  }

  /**
   * Asks for what is wanted and waits for it a little, and less than the client does. true: it came, or turned out not to come,
   * so that an answer may say more now. Never rejects.
   */
  async bring(
    userNid: UserNid,
    wants: readonly HistoryWant[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    try {
      return await this.#bring(userNid, wants, timeoutMs, signal);
    } catch (error) {
      this.#deps.onError(errorOf(error));
      return false;
    }
  }

  async #bring(
    userNid: UserNid,
    wants: readonly HistoryWant[],
    timeoutMs: number,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { db, stream, clock, onWaited } = this.#deps;
    const startedMs = clock.nowMs();
    const open = wants.filter((want) => startedMs - (this.#asked.get(keyOf(userNid, want)) ?? -Infinity) >= QUIET_MS);
    if (open.length === 0) return false;
    const limitMs = timeoutMs > 0 ? Math.min(WAIT_MS, timeoutMs / 2) : WAIT_MS;
    const ask = async () => {
      if (await askHistory(db, userNid, open)) await db.notify(HISTORY_CHANNEL, String(userNid));
    };
    const isPending = () => isHistoryPending(db, userNid, open);
    const isSettled = await askAndWait(stream, { userNid, limitMs, signal, ask, isPending });
    // A client that gave up comes again, and waits then.
    if (signal.aborted) return false;
    for (const want of open) this.#asked.set(keyOf(userNid, want), startedMs);
    onWaited(isSettled ? "settled" : "late");
    const leftMs = Math.max(0, startedMs + limitMs - clock.nowMs());
    return isSettled && (await stream.reached(await selectHead(db), leftMs, signal));
  }
}

const keyOf = (userNid: UserNid, { room, token }: HistoryWant): string => `${userNid} ${room} ${token}`;
