import type { SyncOutcome } from "../engine/assemble.ts";
import type { HistoryWant } from "../model/history-want.ts";
import type { RoomId, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { History } from "./history.ts";
import type { Recalls } from "./recalls.ts";

export interface LackingDeps {
  readonly history: Pick<History, "bring">;
  readonly recalls: Pick<Recalls, "bring">;
}

interface Asking {
  readonly userNid: UserNid;
  /** undefined on a first request. */
  readonly from: StreamPosition | undefined;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** What could be added to an answer. */
export interface Lacks {
  readonly outcome: SyncOutcome;
  readonly wants: readonly HistoryWant[];
  /** Rooms that are subscribed to and that the reader may have left. */
  readonly unknown: readonly RoomId[];
}

/** Has brought in what one answer lacks, once each. */
export class Lacking {
  readonly #deps: LackingDeps;
  readonly #asking: Asking;
  readonly #left = new Set(["rooms", "history"]);

  constructor(deps: LackingDeps, asking: Asking) {
    this.#deps = deps;
    this.#asking = asking;
  }

  /** true: an answer may say more now. */
  async bring({ outcome, wants, unknown }: Lacks): Promise<boolean> {
    const { history, recalls } = this.#deps;
    const { userNid, from, timeoutMs, signal } = this.#asking;
    if (unknown.length > 0 && this.#left.delete("rooms")) {
      // A poll is woken by what comes, and an answer that has something to say is not held for a room.
      const isHeld = from === undefined && !outcome.hasNews;
      if (await recalls.bring(userNid, unknown, isHeld ? timeoutMs : undefined, signal)) return true;
    }
    return wants.length > 0 && this.#left.delete("history") && (await history.bring(userNid, wants, timeoutMs, signal));
  }
}
