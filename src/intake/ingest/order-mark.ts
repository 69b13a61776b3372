import type { OrderMark } from "../../model/room-facts.ts";
import type { ParsedEvent } from "../response/parse-event.ts";

/** How recent a room is, before an event came to its end. */
export interface MarkBefore {
  /** What earlier sections made of it; undefined: what is stored stands. */
  readonly drafted: OrderMark | undefined;
  /** A position or a time in microseconds. */
  readonly stored: number;
}

/** A room that goes on before everybody's eyes comes first. */
export const liveMark = (batch: number): OrderMark => ({ batch, us: 0 });

/** A room that is learnt whole, or made up for, is as recent as its event, and never less than it was. */
export function timeMark(event: ParsedEvent, before: MarkBefore, nowUs: number): OrderMark | undefined {
  const { drafted, stored } = before;
  if (drafted?.batch !== undefined) return drafted;
  const us = Math.max(0, Math.min(event.originServerTsMs * 1000, nowUs));
  return us > (drafted?.us ?? stored) ? { batch: undefined, us } : drafted;
}
