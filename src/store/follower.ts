import type { Clock } from "../lib/clock.ts";
import { pause } from "../lib/pause.ts";
import type { Change } from "../model/change.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import { selectChanges, selectHead } from "./changes.ts";
import type { Database } from "./database.ts";
import type { Memory } from "./memory.ts";
import { STREAM_CHANNEL } from "./publish.ts";

/** Changes read in one turn. Larger: one turn of a follower that is far behind takes more memory. */
const TURN_CHANGES = 5_000;

/** A notification that is lost without a reconnect is made up for after so long. */
const SAFETY_TURN_MS = 5_000;

/** Wait after a turn that failed: doubles from the first to the second. Larger: news are late after an outage. */
const FIRST_RETRY_MS = 50;
const MAX_RETRY_MS = 2_000;

export interface FollowerDeps {
  readonly db: Database;
  readonly memory: Memory;
  readonly clock: Clock;
  /** Memory is at `position` now; `changes` led there. */
  readonly onAdvance: (position: StreamPosition, changes: readonly Change[]) => void;
  /** A turn failed; the next one repeats it. */
  readonly onError: (error: Error) => void;
}

/**
 * Brings the memory of this process up to what is published. A notification carries no data: every turn reads `changes`
 * after the own position, so that one that is lost costs time only. A turn that fails is repeated.
 */
export class Follower implements AsyncDisposable {
  readonly #deps: FollowerDeps;
  #position: StreamPosition = BEFORE_ALL;
  /** When all that was published then had been applied. */
  #caughtUpMs: number;
  #turns: Promise<void> | undefined;
  #isStarted = false;
  #isWanted = false;
  readonly #stopped = new AbortController();
  #listening: AsyncDisposable | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FollowerDeps) {
    this.#deps = deps;
    this.#caughtUpMs = deps.clock.nowMs();
  }

  /** Memory holds every fact at or below it. */
  get position(): StreamPosition {
    return this.#position;
  }

  /** How long ago everything published had been applied; a few seconds on a quiet server. */
  get behindMs(): number {
    return this.#deps.clock.nowMs() - this.#caughtUpMs;
  }

  /** Loads the rooms' columns and begins to follow. */
  async start(): Promise<void> {
    const { db, memory, clock, onAdvance } = this.#deps;
    // Taken before the load: what is published meanwhile is applied again, which changes nothing.
    this.#position = await selectHead(db);
    memory.begin(this.#position);
    await memory.columns.load(db);
    this.#caughtUpMs = clock.nowMs();
    onAdvance(this.#position, []);
    this.#isStarted = true;
    const wake = () => this.wake();
    this.#listening = await db.listen(STREAM_CHANNEL, (told) => this.wake(Number(told)), wake);
    this.#timer = setInterval(wake, SAFETY_TURN_MS);
  }

  /** Something may have been published: up to `told`, where that was said. */
  wake(told?: number): void {
    if (told !== undefined && told <= this.#position) return;
    this.#isWanted = true;
    if (!this.#isStarted || this.#turns !== undefined || this.#stopped.signal.aborted) return;
    this.#turns = this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped.abort();
    clearInterval(this.#timer);
    await this.#listening?.[Symbol.asyncDispose]();
    await this.#turns;
  }

  /** Ends in the same step in which nothing more is wanted, so that no call of {@link wake} falls between. */
  async #run(): Promise<void> {
    const { signal } = this.#stopped;
    let retryMs = FIRST_RETRY_MS;
    while (this.#isWanted && !signal.aborted) {
      this.#isWanted = false;
      try {
        await this.#catchUp(signal);
        retryMs = FIRST_RETRY_MS;
      } catch (error) {
        this.#isWanted = true;
        this.#deps.onError(error as Error);
        await pause(retryMs, signal);
        retryMs = Math.min(MAX_RETRY_MS, 2 * retryMs);
      }
    }
    this.#turns = undefined;
  }

  async #catchUp(signal: AbortSignal): Promise<void> {
    const { db, memory, clock, onAdvance } = this.#deps;
    while (!signal.aborted) {
      const startedMs = clock.nowMs();
      const changes = await selectChanges(db, this.#position, TURN_CHANGES);
      const last = changes.at(-1);
      if (last !== undefined) {
        const apply = await memory.prepare(changes, last.position);
        // In one step, so that nobody sees memory ahead of its position.
        apply();
        this.#position = last.position;
        onAdvance(last.position, changes);
      }
      if (changes.length < TURN_CHANGES) {
        this.#caughtUpMs = startedMs;
        return;
      }
    }
  }
}
