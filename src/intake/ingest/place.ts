import type { ChunkNid } from "../../model/ids.ts";
import type { Landmark } from "../../model/room-facts.ts";

/**
 * Distance between neighbours when events are appended. Larger: fewer events fit below 2^53. Smaller: fewer late events
 * fit between two neighbours; with 2^24 it is at least 24, and 500 million events fit in a room.
 */
export const ORDER_KEY_STEP = 2 ** 24;

/** The end of what is stored of a room; undefined: no event stands in its timeline. */
export interface Tail {
  readonly orderKey: number;
  readonly chunk: ChunkNid;
  /** Whether the batch's attestation is of the same kind as the tail chunk's, so that the chunk can go on. */
  readonly canGoOn: boolean;
}

/** One event's place. `"new"`: the one new chunk that a batch may start. */
export interface Place {
  readonly orderKey: number;
  readonly chunk: ChunkNid | "new";
  readonly isAtEnd: boolean;
  /** Order keys of the neighbours that were stored before the batch. */
  readonly previous: number | undefined;
  readonly next: number | undefined;
}

export interface Placement {
  /** For each event of the batch; undefined: it keeps its place. */
  readonly places: readonly (Place | undefined)[];
  /** Set when a chunk starts: whether nothing is missing between it and the one before. */
  readonly newChunkContinues: boolean | undefined;
}

/**
 * Finds places for one batch of timeline events, oldest first (docs/concepts/chunks-and-attestation.md "Placing a batch").
 * `landmarks` has an entry per event; undefined: the event stands in no timeline yet.
 */
export function placeBatch(
  landmarks: readonly (Landmark | undefined)[],
  tail: Tail | undefined,
  limited: boolean,
): Placement {
  const firstKnown = landmarks.findIndex((landmark) => landmark !== undefined);
  if (firstKnown < 0) return append(landmarks.length, tail, limited);
  const places: (Place | undefined)[] = landmarks.map(() => undefined);
  const run = new Runs(places, tail);
  run.before(landmarks[firstKnown] as Landmark, firstKnown);
  for (let index = firstKnown; index < landmarks.length; ) {
    const landmark = landmarks[index] as Landmark;
    let end = index + 1;
    while (end < landmarks.length && landmarks[end] === undefined) end += 1;
    run.after(landmark, index + 1, end);
    index = end;
  }
  return { places, newChunkContinues: run.newChunkContinues };
}

function append(count: number, tail: Tail | undefined, limited: boolean): Placement {
  const goesOn = tail !== undefined && !limited && tail.canGoOn;
  const start = tail === undefined ? 0 : tail.orderKey;
  const places = Array.from(
    { length: count },
    (_, n): Place => ({
      orderKey: start + (n + 1) * ORDER_KEY_STEP,
      chunk: goesOn ? tail.chunk : "new",
      isAtEnd: true,
      previous: tail?.orderKey,
      next: undefined,
    }),
  );
  return { places, newChunkContinues: goesOn || count === 0 ? undefined : tail !== undefined && !limited };
}

/** Fills in places of runs of unknown events around landmarks. */
class Runs {
  readonly #places: (Place | undefined)[];
  readonly #tail: Tail | undefined;
  /** The largest order key in the room, what this batch appended included. */
  #end: number;
  newChunkContinues: boolean | undefined;

  constructor(places: (Place | undefined)[], tail: Tail | undefined) {
    this.#places = places;
    this.#tail = tail;
    // A landmark is at or below the tail, so that this only matters with one.
    this.#end = tail?.orderKey ?? 0;
  }

  /** The unknown events 0 … count-1 stand right before the landmark. */
  before(landmark: Landmark, count: number): void {
    const { previous, orderKey, chunk } = landmark;
    if (previous !== undefined) {
      this.#spread(0, count, previous, orderKey, chunk);
      return;
    }
    for (let index = 0; index < count; index += 1) {
      const below = orderKey - (count - index) * ORDER_KEY_STEP;
      this.#places[index] = { orderKey: below, chunk, isAtEnd: false, previous, next: orderKey };
    }
  }

  /** The unknown events start … end-1 stand right after the landmark. */
  after(landmark: Landmark, start: number, end: number): void {
    if (landmark.next !== undefined) {
      this.#spread(start, end, landmark.orderKey, landmark.next, landmark.chunk);
    } else if (end > start) {
      this.#append(landmark.chunk, this.#tail?.canGoOn ?? true, true, start, end);
    }
  }

  #spread(start: number, end: number, low: number, high: number, chunk: ChunkNid): void {
    const step = Math.floor((high - low) / (end - start + 1));
    // Too many late events came between two neighbours: they go to the end, after a hole, rather than out of the room.
    if (step < 1) {
      this.#append(chunk, false, false, start, end);
      return;
    }
    for (let index = start; index < end; index += 1) {
      const orderKey = low + step * (index - start + 1);
      this.#places[index] = { orderKey, chunk, isAtEnd: false, previous: low, next: high };
    }
  }

  #append(chunk: ChunkNid, goesOn: boolean, continues: boolean, start: number, end: number): void {
    if (!goesOn) this.newChunkContinues = continues && (this.newChunkContinues ?? true);
    const previous = this.#end;
    for (let index = start; index < end; index += 1) {
      this.#end += ORDER_KEY_STEP;
      this.#places[index] = {
        orderKey: this.#end,
        chunk: goesOn ? chunk : "new",
        isAtEnd: true,
        previous,
        next: undefined,
      };
    }
  }
}
