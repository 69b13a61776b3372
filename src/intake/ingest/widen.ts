import type { ChunkNid } from "../../model/ids.ts";
import type { ChunkSplit, Landmark, Neighbour } from "../../model/room-facts.ts";
import type { Landmarks } from "./place.ts";

/** What a batch that attests for everybody makes of events that were attested for one user alone. */
export interface Widening {
  /** The batch's known events as they stand then. */
  readonly landmarks: Landmarks;
  /** The chunk of each event that moves, by its index in the batch. */
  readonly moved: ReadonlyMap<number, ChunkNid>;
  /** The chunk that had to be started, after a hole; undefined: none. */
  readonly started: ChunkNid | undefined;
  /** Chunks whose first events moved: for their user nothing is missing between these and the rest. */
  readonly joined: readonly ChunkNid[];
  /** Chunks of which nothing is left. */
  readonly emptied: readonly ChunkNid[];
  /** What stands above an order key in a chunk from whose midst events moved goes into one that continues these. */
  readonly split: ChunkSplit | undefined;
  /** Where the last event of the room stands then, if it moved. */
  readonly endChunk: ChunkNid | undefined;
}

/** A known event of the batch. */
interface Standing {
  readonly index: number;
  readonly landmark: Landmark;
}

/**
 * The first stream that brings an event may be that of one who ignores somebody: its chunk is theirs alone, and everybody else's
 * timeline is cut there. As soon as a stream brings the same that attests for everybody, the event goes into a chunk for everybody:
 * that of the event before it, where the batch has both side by side, else a new one.
 *
 *     before    a   b │ x   y   z            a, b: for everybody; x, y, z: for Alice
 *     batch         b   x   y
 *     after     a   b   x   y │ z            z continues it, for Alice
 *
 * Only up to the newest known event, from the oldest one that leads to it: what is older is told of when it is asked for anew.
 * Undefined: nothing moves. `newChunk` gives out a number.
 */
export function widen(landmarks: Landmarks, newChunk: () => ChunkNid): Widening | undefined {
  const run = newestRun(landmarks);
  if (run.every(({ landmark }) => landmark.attestedFor === undefined)) return undefined;
  const moved = new Map<number, ChunkNid>();
  let started: ChunkNid | undefined;
  let base: Pick<Landmark, "chunk" | "continues"> | undefined;
  const widened = run.map(({ index, landmark }) => {
    if (landmark.attestedFor === undefined) base = landmark;
    else {
      if (base === undefined) {
        started = newChunk();
        base = { chunk: started, continues: false };
      }
      moved.set(index, base.chunk);
    }
    const { chunk, continues } = base ?? landmark;
    return { index, landmark: { ...landmark, attestedFor: undefined, chunk, continues } };
  });
  const rests = restsOf(run, newChunk);
  const standing = new Map<number, Landmark>();
  for (const [at, { landmark }] of widened.entries()) {
    const previous = widened[at - 1]?.landmark ?? landmark.previous;
    const next = widened[at + 1]?.landmark ?? restAfter(landmark, rests);
    standing.set(landmark.orderKey, { ...landmark, previous, next });
  }
  // What the stream had last may be repeated.
  const all = landmarks.map((landmark) => landmark && (standing.get(landmark.orderKey) ?? landmark));
  const last = run.at(-1);
  const endChunk = last?.landmark.next === undefined ? moved.get(last?.index ?? -1) : undefined;
  return { landmarks: all, moved, started, ...rests, endChunk };
}

/** Known events up to the newest one of the batch that stand side by side in the room, oldest first. */
function newestRun(landmarks: Landmarks): readonly Standing[] {
  const run: Standing[] = [];
  for (let index = landmarks.length - 1; index >= 0; index -= 1) {
    const landmark = landmarks[index];
    if (landmark === undefined) continue;
    const newer = run.at(-1)?.landmark;
    if (newer !== undefined && landmark.next?.orderKey !== newer.orderKey) break;
    run.push({ index, landmark });
  }
  return run.reverse();
}

type Rests = Pick<Widening, "joined" | "emptied" | "split">;

/** What follows the newest event that moves may be the rest of its chunk, which goes on after it. */
function restAfter({ next }: Landmark, { joined, split }: Rests): Neighbour | undefined {
  if (next === undefined) return undefined;
  if (next.chunk === split?.from) return { ...next, chunk: split.into, continues: true };
  return joined.includes(next.chunk) ? { ...next, continues: true } : next;
}

function restsOf(run: readonly Standing[], newChunk: () => ChunkNid): Rests {
  const joined: ChunkNid[] = [];
  const emptied: ChunkNid[] = [];
  let split: ChunkSplit | undefined;
  const chunks = Map.groupBy(
    run.map(({ landmark }) => landmark).filter(({ attestedFor }) => attestedFor !== undefined),
    ({ chunk }) => chunk,
  );
  for (const [chunk, events] of chunks) {
    const last = events.at(-1);
    const isFromStart = events[0]?.previous?.chunk !== chunk;
    const isToEnd = last?.next?.chunk !== chunk;
    if (isFromStart) (isToEnd ? emptied : joined).push(chunk);
    // Only the newest event of the run can have more of its chunk after it.
    else if (!isToEnd) split = { from: chunk, into: newChunk(), above: last.orderKey, attestedFor: last.attestedFor };
  }
  return { joined, emptied, split };
}
