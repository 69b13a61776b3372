import type { UpstreamFault } from "../../model/upstream.ts";

/** What a poller does after a failed poll. */
export type Verdict =
  | { readonly next: "again"; readonly afterMs: number }
  | { readonly next: "stop"; readonly reason: "token-refused" | "lost-claim" };

/**
 * The first wait after a failure; it doubles up to {@link MAX_WAIT_MS}. Shorter: a homeserver that restarts is hammered.
 * Longer: a hiccup is felt by everybody who waits.
 */
const FIRST_WAIT_MS = 1_000;

/** Longer: the homeserver is back and nobody notices. Synapse keeps a half-computed initial answer for two minutes. */
export const MAX_WAIT_MS = 60_000;

/** What follows from a fault of the homeserver, after `failures` failed polls in a row (1: the first). `jitter` is in [0, 1). */
export function verdictOf(fault: UpstreamFault, failures: number, jitter: number): Verdict {
  if (fault.kind === "status" && fault.status === 401) return { next: "stop", reason: "token-refused" };
  const growing = Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 16));
  const asked = fault.kind === "status" ? (fault.retryAfterMs ?? 0) : 0;
  const waitMs = Math.min(MAX_WAIT_MS, Math.max(growing, asked));
  return { next: "again", afterMs: Math.round(waitMs * (1 + jitter / 4)) };
}
