import { Wait } from "../lib/wait.ts";
import type { UserNid } from "../model/ids.ts";
import type { Stream } from "../stream/stream.ts";

interface Asking {
  readonly userNid: UserNid;
  readonly limitMs: number;
  /** Ends the waiting. */
  readonly signal: AbortSignal;
  readonly ask: () => Promise<void>;
  /** What was asked for is not settled yet; the user is woken when it is. */
  readonly isPending: () => Promise<boolean>;
}

/** Asks, and waits until it is settled, or for so long. Register, then look, then wait: what is settled between is not missed. */
export async function askAndWait(
  stream: Stream,
  { userNid, limitMs, signal, ask, isPending }: Asking,
): Promise<boolean> {
  using wait = new Wait(limitMs, signal);
  using _moved = stream.onMoved(userNid, wait.call);
  await ask();
  for (;;) {
    wait.rearm();
    if (!(await isPending())) return true;
    await wait.next();
    if (wait.isOver) return false;
  }
}
