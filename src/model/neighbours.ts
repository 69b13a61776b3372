/**
 * Rooms with the same number but for some low bits are neighbours. What is kept once for all of them lets a scan pass them in one
 * step: a user's rooms are mostly neighbours, since rooms are numbered as they come.
 *
 * @param rooms ascending numbers, each once.
 * @returns the first index after `start` whose room is no neighbour of the one there.
 */
export function endOfNeighbours(rooms: Int32Array, start: number, bits: number): number {
  const first = rooms[start] ?? 0;
  const group = first >> bits;
  // Where the reader has all of them that come after this one, the last is as far away as its number is higher.
  const farthest = start + ((group + 1) << bits) - first;
  if (farthest <= rooms.length && (rooms[farthest - 1] ?? 0) >> bits === group) return farthest;
  let end = start + 1;
  while (end < rooms.length && (rooms[end] ?? 0) >> bits === group) end++;
  return end;
}
