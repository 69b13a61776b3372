import type { Brand } from "../lib/brand.ts";
import { invariant } from "../lib/invariant.ts";

/** Our one order of facts (docs/concepts/stream-positions.md). 0 is before all of them. */
export type StreamPosition = Brand<number, "StreamPosition">;

export const BEFORE_ALL = 0 as StreamPosition;

/** Brands a number that came from the store or from a checked `pos`. */
export function streamPosition(value: number): StreamPosition {
  invariant(Number.isSafeInteger(value) && value >= 0, `a stream position is a safe integer, got ${value}`);
  return value as StreamPosition;
}
