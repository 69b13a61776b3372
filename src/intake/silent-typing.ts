import { pause } from "../lib/pause.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database } from "../store/database.ts";
import { endTyping } from "../store/typing-ends.ts";

/** How often it is looked for typing of which no end was heard. Longer: it is shown longer. Shorter: more queries for nothing. */
const EVERY_MS = 5_000;

interface SilentTypingDeps {
  readonly db: Database;
  /** Everything at or below the position is visible now. */
  readonly onPosition: (position: StreamPosition) => void;
  readonly onError: (error: Error) => void;
  readonly everyMs?: number;
}

/**
 * Ends typing of which no end is heard, as when nobody polls any more for a user of the room. Several processes may do so at the
 * same time.
 */
export class SilentTyping {
  readonly #deps: SilentTypingDeps;
  readonly #stopped = new AbortController();
  #running: Promise<void> | undefined;

  constructor(deps: SilentTypingDeps) {
    this.#deps = deps;
  }

  start(): void {
    this.#running ??= this.#run();
  }

  async stop(): Promise<void> {
    this.#stopped.abort();
    await this.#running;
  }

  async #run(): Promise<void> {
    const { everyMs = EVERY_MS } = this.#deps;
    const { signal } = this.#stopped;
    while (!signal.aborted) {
      await this.#endOnce();
      await pause(everyMs, signal);
    }
  }

  async #endOnce(): Promise<void> {
    const { db, onPosition, onError } = this.#deps;
    try {
      const position = await endTyping(db);
      if (position !== undefined) onPosition(position);
    } catch (error) {
      onError(error as Error);
    }
  }
}
