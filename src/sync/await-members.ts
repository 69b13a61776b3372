import { Wait } from "../lib/wait.ts";
import type { UserNid } from "../model/ids.ts";
import type { Stream } from "../stream/stream.ts";

/** How long an answer is held for members that are being asked for. Longer: messages show late. Shorter: they show without names. */
export const MEMBERS_WAIT_MS = 200;

/** Members of what was stored so long ago are not on their way any more. Longer: an answer waits for what never comes. */
export const ON_THE_WAY_US = 1_000_000;

interface Held<Computed> {
  readonly userNid: UserNid;
  /** How long the client waits; undefined: it did not say. */
  readonly timeoutMs: number | undefined;
  /** No answer is held for longer, in milliseconds. */
  readonly membersWaitMs: number;
  readonly signal: AbortSignal;
  readonly compute: () => Promise<Computed>;
}

/** Computes, and computes again for a short time while members are missing that are on their way. */
export async function awaitMembers<Computed extends { readonly awaitsMembers: boolean }>(
  stream: Stream,
  { userNid, timeoutMs = Number.POSITIVE_INFINITY, membersWaitMs, signal, compute }: Held<Computed>,
): Promise<Computed> {
  let computed = await compute();
  const waitMs = Math.min(membersWaitMs, timeoutMs / 2);
  if (!computed.awaitsMembers || waitMs <= 0) return computed;
  using wait = new Wait(waitMs, signal);
  using _moved = stream.onMoved(userNid, wait.call);
  while (computed.awaitsMembers && !wait.isOver) {
    wait.rearm();
    computed = await compute();
    if (computed.awaitsMembers) await wait.next();
  }
  return computed;
}
