import type { Readiness } from "./http/internal-app.ts";
import type { Queryable } from "./store/database.ts";
import type { Follower } from "./store/follower.ts";
import { pingDatabase } from "./store/ping.ts";

/**
 * Answers may be so much older than the store before this process is taken out of service. Longer: clients of this process
 * see nothing new for so long. Shorter: a short outage of the database takes all processes out.
 */
const MAX_BEHIND_MS = 30_000;

interface ReadinessDeps {
  readonly db: Queryable;
  readonly follower: Pick<Follower, "behindMs">;
  /** What else is missing, in short phrases. */
  readonly missing: () => readonly string[];
}

/** Whether requests can be served: everything is loaded, the stream is followed, and the database answers. */
export class ReadinessState {
  hasStarted = false;
  readonly #deps: ReadinessDeps;

  constructor(deps: ReadinessDeps) {
    this.#deps = deps;
  }

  async current(): Promise<Readiness> {
    const { db, follower, missing } = this.#deps;
    const reasons = [...missing()];
    if (!this.hasStarted) reasons.push("rooms are being loaded");
    else if (follower.behindMs > MAX_BEHIND_MS) reasons.push("what was stored lately could not be read");
    try {
      await pingDatabase(db);
    } catch {
      reasons.push("the database does not answer");
    }
    return { isReady: reasons.length === 0, reasons };
  }
}
