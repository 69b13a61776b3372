import type { ChunkNid, UserNid } from "../../model/ids.ts";
import { type Landmark, type Neighbour, ORDER_KEY_STEP } from "../../model/room-facts.ts";
import { joinedChunks } from "./joined-chunks.ts";

/** The end of what is stored of a room; undefined: no event stands in its timeline. */
export interface Tail extends Neighbour {
  /** For whom its chunk is attested; undefined: everybody. */
  readonly attestedFor: UserNid | undefined;
  /** Of the last event: the last chunk may be another, which begins after a hole and has no event yet. */
  readonly eventChunk: ChunkNid;
}

/** What is known of a batch beside its events. */
export interface BatchFacts {
  /** Something may be missing before the first event. */
  readonly limited: boolean;
  /** The last event is the newest of the room, as against that of a reader who left. */
  readonly reachesEnd: boolean;
  /** For whom nothing is missing between its events; undefined: everybody. */
  readonly attestedFor: UserNid | undefined;
}

/** A chunk that a batch starts. `continues`: nothing is missing between it and the one before. */
export interface ChunkToStart {
  readonly continues: boolean;
}

/** One event's place. */
export interface Place<InChunk = ChunkNid | ChunkToStart> {
  readonly orderKey: number;
  readonly chunk: InChunk;
  readonly isAtEnd: boolean;
  /** The neighbours that were stored before the batch. */
  readonly previous: Neighbour | undefined;
  readonly next: Neighbour | undefined;
}

export interface Placement {
  /** For each event of the batch; undefined: it keeps its place, or none is known. */
  readonly places: readonly (Place | undefined)[];
  /** One for each piece of the batch that stands by itself, so that a chunk is one run of events. */
  readonly started: readonly ChunkToStart[];
  /** Chunks that the batch shows to continue the one before them. */
  readonly joined: readonly ChunkNid[];
}

/** An entry per event of the batch; undefined: the event stands in no timeline yet. */
export type Landmarks = readonly (Landmark | undefined)[];

/**
 * Finds places for one batch of timeline events, oldest first (docs/concepts/chunks-and-attestation.md "Placing a batch").
 *
 *     batch        a   b   x   c   y           b, c are known
 *     room       … p   b   q   c | d           p, q, d are known, and not in the batch; a hole before d
 *     after      … p a b x q   c y d           before the first, after the one before
 *
 * Without the hole, or in the batch of a user who ignores somebody, `y` is newer than `d`, as far as can be told. It goes to the
 * end of the room then: before `d` it would stand behind what readers were told already, and they would never hear of it.
 */
export function placeBatch(landmarks: Landmarks, tail: Tail | undefined, batch: BatchFacts): Placement {
  const runs = new Runs(landmarks, tail, batch);
  const first = landmarks.findIndex((landmark) => landmark !== undefined);
  if (first < 0) {
    runs.append(0, landmarks.length, tail !== undefined && !batch.limited && !isHoleLost(tail, batch));
  } else {
    // The room may order events as the batch does not. What is unknown follows all known ones that the batch has before it, and
    // what comes before any of them stands before them all.
    runs.before(first, foremost(landmarks));
    let furthest = landmarks[first];
    for (let index = first; index < landmarks.length; ) {
      const end = endOfRun(landmarks, index);
      furthest = further(furthest, landmarks[index]);
      runs.after(furthest, index + 1, end);
      index = end;
    }
  }
  const { places, started, filled } = runs;
  const joined = joinedChunks(landmarks, places, batch.attestedFor);
  return { places, started, joined: filled === undefined ? joined : [...joined, filled] };
}

/** Whether a hole is noted at the end, in a chunk without events that the batch cannot go into. */
const isHoleLost = (tail: Tail, { attestedFor }: BatchFacts): boolean =>
  tail.chunk !== tail.eventChunk && tail.attestedFor !== attestedFor;

/** The landmark that stands before all others. */
const foremost = (landmarks: Landmarks): Landmark | undefined =>
  landmarks.reduce(
    (least, each) => (each !== undefined && each.orderKey < (least?.orderKey ?? Infinity) ? each : least),
    undefined,
  );

/** The landmark that stands after all others. */
export const furthestOf = (landmarks: Landmarks): Landmark | undefined => landmarks.reduce(further, undefined);

const further = (a: Landmark | undefined, b: Landmark | undefined): Landmark | undefined =>
  b !== undefined && b.orderKey > (a?.orderKey ?? -Infinity) ? b : a;

/** Index of the landmark after the one at `index`, or the length. */
function endOfRun(landmarks: Landmarks, index: number): number {
  let next = index + 1;
  while (next < landmarks.length && landmarks[next] === undefined) next += 1;
  return next;
}

/** Whether nothing is missing between two neighbours. */
const isWhole = (older: Neighbour, younger: Neighbour): boolean => older.chunk === younger.chunk || younger.continues;

/** Where a run of events is put between two neighbours. */
interface Gap {
  readonly low: number;
  readonly high: number;
  readonly chunk: ChunkNid | ChunkToStart;
  readonly previous: Neighbour | undefined;
  readonly next: Neighbour | undefined;
}

/** Fills in places of runs of unknown events around landmarks. */
class Runs {
  readonly places: (Place | undefined)[];
  readonly started: ChunkToStart[] = [];
  /** A chunk that stood empty behind a hole, into which came what follows the event before the hole. */
  filled: ChunkNid | undefined;
  readonly #landmarks: Landmarks;
  readonly #tail: Tail | undefined;
  readonly #batch: BatchFacts;
  /** The largest order key in the room, what this batch appended included. */
  #end: number;
  /** Where the batch's last events at the end are. `isTorn`: they do not follow what was there, as far as can be told. */
  #appended: { readonly chunk: ChunkNid | ChunkToStart; readonly isTorn: boolean } | undefined;

  constructor(landmarks: Landmarks, tail: Tail | undefined, batch: BatchFacts) {
    this.places = landmarks.map(() => undefined);
    this.#landmarks = landmarks;
    this.#tail = tail;
    this.#batch = batch;
    this.#end = tail?.orderKey ?? 0;
  }

  /** The first `count` events stand right before the landmark. */
  before(count: number, landmark: Landmark | undefined): void {
    if (landmark === undefined || count === 0) return;
    const { previous, orderKey: high } = landmark;
    if (previous !== undefined && this.#isUnsureBetween(previous, landmark)) return;
    const low = previous?.orderKey ?? high - (count + 1) * ORDER_KEY_STEP;
    const chunk = this.#chunkBeside(landmark, previous, false);
    this.#spread(0, count, { low, high, chunk, previous, next: landmark });
  }

  /** The unknown events from `start` to `end` stand right after the landmark, or at the end of the room. */
  after(landmark: Landmark | undefined, start: number, end: number): void {
    if (landmark === undefined || start === end) return;
    const { orderKey, next, chunk } = landmark;
    if (next === undefined || (end === this.#landmarks.length && this.#isNewest(landmark))) {
      this.append(start, end, next === undefined || chunk === this.#tail?.chunk);
      const isTailEmpty = next === undefined && this.#tail !== undefined && this.#tail.chunk !== chunk;
      if (isTailEmpty && this.places[start]?.chunk === this.#tail?.chunk) this.filled = this.#tail?.chunk;
    } else if (this.#landmarks[end]?.orderKey === next.orderKey || !this.#isUnsureBetween(landmark, next)) {
      // An earlier run may have come into the same gap.
      const given = this.places.flatMap((place) => (place === undefined ? [] : place.orderKey));
      const low = Math.max(orderKey, ...given.filter((key) => key < next.orderKey));
      const own = this.#chunkBeside(landmark, next, true);
      this.#spread(start, end, { low, high: next.orderKey, chunk: own, previous: landmark, next });
    }
  }

  /**
   * Whether what a batch has after its last known event is newer than all that the room has there. A batch of a user who ignores
   * somebody may lack that. And where nothing is missing up to the end, an unknown event cannot stand between.
   */
  #isNewest({ chunk, attestedFor }: Landmark): boolean {
    if (this.#batch.attestedFor !== undefined && this.#batch.reachesEnd) return true;
    return attestedFor === undefined && chunk === this.#tail?.eventChunk;
  }

  /**
   * A batch of a user who ignores somebody may lack one of two neighbours. Where nothing is missing between them, what is unknown
   * stands on the other side of that one, nobody knows where.
   */
  #isUnsureBetween(older: Neighbour, younger: Neighbour): boolean {
    return this.#batch.attestedFor !== undefined && isWhole(older, younger);
  }

  append(start: number, end: number, continues: boolean): void {
    if (start === end) return;
    const chunk = this.#endFor(continues);
    for (let index = start; index < end; index += 1) {
      this.#end += ORDER_KEY_STEP;
      this.places[index] = { orderKey: this.#end, chunk, isAtEnd: true, previous: this.#tail, next: undefined };
    }
  }

  /**
   * A landmark's chunk grows by what is put inside it, and beyond its end by what is attested for all its readers; else a
   * chunk begins there.
   */
  #chunkBeside(
    { chunk, attestedFor }: Landmark,
    other: Neighbour | undefined,
    continues: boolean,
  ): ChunkNid | ChunkToStart {
    const isInside = other?.chunk === chunk;
    const isAttested = this.#batch.attestedFor === undefined || this.#batch.attestedFor === attestedFor;
    return isInside || isAttested ? chunk : this.#start(continues);
  }

  #endFor(continues: boolean): ChunkNid | ChunkToStart {
    const last = this.#appended;
    if (last !== undefined && continues && !last.isTorn) return last.chunk;
    const goesOn = last === undefined && continues && this.#tail?.attestedFor === this.#batch.attestedFor;
    const chunk = (goesOn ? this.#tail?.chunk : undefined) ?? this.#start(last === undefined && continues);
    this.#appended = { chunk, isTorn: !continues || last !== undefined };
    return chunk;
  }

  #start(continues: boolean): ChunkToStart {
    const chunk = { continues };
    this.started.push(chunk);
    return chunk;
  }

  #spread(start: number, end: number, { low, high, chunk, previous, next }: Gap): void {
    const step = Math.floor((high - low) / (end - start + 1));
    // Too many late events came between two neighbours: they go to the end, after a hole, rather than out of the room.
    if (step < 1) {
      this.append(start, end, false);
      return;
    }
    for (let index = start; index < end; index += 1) {
      this.places[index] = { orderKey: low + step * (index - start + 1), chunk, isAtEnd: false, previous, next };
    }
  }
}
