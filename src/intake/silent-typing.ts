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
}

/**
 * Ends typing of which no end is heard, as when nobody polls any more for a user of the room, until `signal` aborts. Several
 * processes may do so at the same time.
 */
export async function endSilentTyping(
  { db, onPosition, onError }: SilentTypingDeps,
  signal: AbortSignal,
  everyMs = EVERY_MS,
): Promise<void> {
  while (!signal.aborted) {
    try {
      const position = await endTyping(db);
      if (position !== undefined) onPosition(position);
    } catch (error) {
      onError(error as Error);
    }
    await pause(everyMs, signal);
  }
}
