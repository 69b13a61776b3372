import type { UpstreamFault } from "../../model/upstream.ts";

/** What a poller does after a failed poll. */
export type Verdict =
  | { readonly next: "again"; readonly afterMs: number }
  | { readonly next: "stop"; readonly reason: "token-refused" | "lost-claim" };

/** What was in the way: the homeserver, or something of our own, such as the database. */
export type PollFault = UpstreamFault | { readonly kind: "own" };

/**
 * The first wait after a failure; it doubles up to {@link MAX_WAIT_MS}. Shorter: a homeserver that restarts is hammered.
 * Longer: a hiccup is felt by everybody who waits.
 */
const FIRST_WAIT_MS = 1_000;

/** Longer: the homeserver is back and nobody notices. Synapse keeps a half-computed initial answer for two minutes. */
export const MAX_WAIT_MS = 60_000;

/** The same for what is our own: our database is not hammered by a poll, and whoever waits has no other way. */
export const MAX_OWN_WAIT_MS = 5_000;

/** What follows from a fault, after `failures` failed polls in a row (1: the first). `jitter` is in [0, 1). */
export function verdictOf(fault: PollFault, failures: number, jitter: number): Verdict {
  if (fault.kind === "status" && fault.status === 401) return { next: "stop", reason: "token-refused" };
  const growing = FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 16);
  const asked = fault.kind === "status" ? (fault.retryAfterMs ?? 0) : 0;
  const maxMs = fault.kind === "own" ? MAX_OWN_WAIT_MS : MAX_WAIT_MS;
  const waitMs = Math.min(maxMs, Math.max(growing, asked));
  return { next: "again", afterMs: Math.round(waitMs * (1 + jitter / 4)) };
}
