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

export interface FollowerDeps {
  readonly db: Database;
  readonly memory: Memory;
  /** Memory is at `position` now; `changes` led there. */
  readonly onAdvance: (position: StreamPosition, changes: readonly Change[]) => void;
  /** A turn failed; the next one repeats it. */
  readonly onError: (error: Error) => void;
}

/**
 * Brings the memory of this process up to what is published. A notification carries no data: every turn reads `changes`
 * after the own position, so that one that is lost costs time only.
 */
export class Follower implements AsyncDisposable {
  readonly #deps: FollowerDeps;
  #position: StreamPosition = BEFORE_ALL;
  #turn: Promise<void> | undefined;
  #isWanted = false;
  #isStopped = false;
  #listening: AsyncDisposable | undefined;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FollowerDeps) {
    this.#deps = deps;
  }

  /** Memory holds every fact at or below it. */
  get position(): StreamPosition {
    return this.#position;
  }

  /** Loads the rooms' columns and begins to follow. */
  async start(): Promise<void> {
    const { db, memory, onAdvance } = this.#deps;
    // Taken before the load: what is published meanwhile is applied again, which changes nothing.
    this.#position = await selectHead(db);
    await memory.columns.load(db);
    onAdvance(this.#position, []);
    this.#listening = await db.listen(
      STREAM_CHANNEL,
      () => this.wake(),
      () => this.wake(),
    );
    this.#timer = setInterval(() => this.wake(), SAFETY_TURN_MS);
  }

  /** Something may have been published. */
  wake(): void {
    this.#isWanted = true;
    this.#turn ??= this.#run();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isStopped = true;
    clearInterval(this.#timer);
    await this.#listening?.[Symbol.asyncDispose]();
    await this.#turn;
  }

  async #run(): Promise<void> {
    try {
      while (this.#isWanted && !this.#isStopped) {
        this.#isWanted = false;
        await this.#catchUp();
      }
    } catch (error) {
      this.#deps.onError(error as Error);
    } finally {
      this.#turn = undefined;
    }
  }

  async #catchUp(): Promise<void> {
    const { db, memory, onAdvance } = this.#deps;
    for (;;) {
      const changes = await selectChanges(db, this.#position, TURN_CHANGES);
      const last = changes.at(-1);
      if (last === undefined) return;
      await memory.apply(changes);
      this.#position = last.position;
      onAdvance(last.position, changes);
      if (changes.length < TURN_CHANGES) return;
    }
  }
}
