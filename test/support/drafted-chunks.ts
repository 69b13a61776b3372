import type { ChunkNid, EventNid } from "../../src/model/ids.ts";
import type { NewChunk, RoomWrites } from "../../src/model/room-facts.ts";

interface Placed {
  readonly nid: EventNid;
  readonly orderKey: number | undefined;
  chunk: ChunkNid | undefined;
}

/** Stores what a draft wrote of chunks, when its events are stored. */
export function storeChunks(
  writes: RoomWrites,
  chunks: Map<ChunkNid, NewChunk>,
  events: ReadonlyMap<string, Placed>,
): void {
  for (const chunk of writes.chunks) chunks.set(chunk.chunk, chunk);
  for (const chunk of writes.joined) chunks.set(chunk, { ...chunks.get(chunk)!, continues: true });
  for (const chunk of writes.started) chunks.set(chunk, { ...chunks.get(chunk)!, isStart: true });
  const moved = new Map(writes.moved.map(({ nid, chunk }) => [nid, chunk]));
  for (const event of events.values()) {
    event.chunk = moved.get(event.nid) ?? event.chunk;
    const split = writes.splits.find(({ from, above }) => event.chunk === from && (event.orderKey ?? 0) > above);
    if (split !== undefined) event.chunk = split.into;
  }
  for (const chunk of writes.emptied) chunks.delete(chunk);
}

/** Who sent an event, if it is a message. */
export function senderOf(event: { readonly stateKey: string | undefined; readonly body: Buffer } | undefined) {
  if (event === undefined || event.stateKey !== undefined) return undefined;
  return (JSON.parse(String(event.body)) as { readonly sender?: string }).sender;
}
