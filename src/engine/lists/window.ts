import type { Candidates } from "./candidates.ts";

let scratch = new Int32Array(0);

/**
 * The slots of the `count` most recent candidates, newest first when `isOrdered`, else in any order. The result is
 * overwritten by the next call. A scan with a bounded heap: an account of 10,000 rooms costs a window of 20 rooms some
 * ten thousand comparisons with the oldest room in the window, and no sort.
 */
export function newest(candidates: Candidates, count: number, isOrdered: boolean): Int32Array {
  const size = Math.min(count, candidates.size);
  if (scratch.length < size) scratch = new Int32Array(Math.max(size, candidates.size));
  const heap = scratch.subarray(0, size);
  for (let slot = 0; slot < size; slot++) heap[slot] = slot;
  if (size < candidates.size) keepNewest(candidates, heap);
  if (isOrdered) heap.sort((a, b) => (candidates.standsBehind(a, b) ? 1 : -1));
  return heap;
}

/** Puts every later candidate in the place of the oldest one in the heap, if it is newer than that. */
function keepNewest(candidates: Candidates, heap: Int32Array): void {
  for (let at = (heap.length >> 1) - 1; at >= 0; at--) sink(candidates, heap, at);
  if (heap.length === 0) return;
  const { activity, size } = candidates;
  let oldest = activity[heap[0] ?? 0] ?? 0;
  for (let slot = heap.length; slot < size; slot++) {
    const own = activity[slot] ?? 0;
    if (own < oldest || (own === oldest && candidates.standsBehind(slot, heap[0] ?? 0))) continue;
    heap[0] = slot;
    sink(candidates, heap, 0);
    oldest = activity[heap[0] ?? 0] ?? 0;
  }
}

/** Restores the heap below `at`: every parent stands behind its children, so that the oldest is on top. */
function sink(candidates: Candidates, heap: Int32Array, at: number): void {
  const moved = heap[at] ?? 0;
  for (;;) {
    let child = 2 * at + 1;
    if (child >= heap.length) break;
    if (child + 1 < heap.length && candidates.standsBehind(heap[child + 1] ?? 0, heap[child] ?? 0)) child++;
    const below = heap[child] ?? 0;
    if (!candidates.standsBehind(below, moved)) break;
    heap[at] = below;
    at = child;
  }
  heap[at] = moved;
}
