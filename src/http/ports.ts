import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../logging/logger.ts";
import type { CallingDevice } from "../model/calling-device.ts";
import type { ClientUpstream } from "../model/client-upstream.ts";
import type { ForgottenRoom } from "../model/forgotten-room.ts";
import type { Dialect } from "../protocol/dialect.ts";

type SyncRequest = ReturnType<Dialect["parse"]>;
type SyncResponse = Parameters<Dialect["encode"]>[0];

/** One sync request of a device that is known. */
export interface SyncCall {
  readonly device: CallingDevice;
  readonly dialect: Pick<Dialect, "name">;
  readonly request: SyncRequest;
  /**
   * Aborts with a `RequestEndedError`: when the client goes, after which nothing may be saved, or at shutdown, which ends
   * the wait for news and leaves the answer due.
   */
  readonly signal: AbortSignal;
}

/** Computes answers; what it throws becomes the answer's error (`errors.ts`). */
export interface SyncPort {
  answer(call: SyncCall): Promise<{ readonly response: SyncResponse; readonly pos: string }>;
}

/** Takes what clients ask of the homeserver and what no stream tells. */
export interface ForgetPort {
  /** Everything at or below it is stored now. */
  readonly position: ForgottenRoom["storedBefore"];
  forget(room: ForgottenRoom): Promise<void>;
}

interface Counted<Labels> {
  inc(labels: Labels): void;
}

interface HttpMetrics {
  readonly whoami: Counted<{ readonly outcome: "cached" | "valid" | "invalid" | "failed" }>;
  readonly passthroughRequests: Counted<{ readonly outcome: "answered" | "failed" | "gone" | "refused" }>;
  /** Requests that end with an error. What kind of answer the others had is known, and counted, where it is computed. */
  readonly syncRequests: Counted<{ readonly dialect: string; readonly outcome: string }>;
}

/** What everything that serves clients shares. */
export interface HttpDeps {
  readonly upstream: ClientUpstream;
  readonly clock: Clock;
  readonly log: Pick<Logger, "debug" | "warn" | "error">;
  readonly metrics: HttpMetrics;
}
