import type { ChunkNid } from "../../model/ids.ts";
import type { Landmark, NewChunk, RoomBefore, RoomWrites } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { Landmarks, Place, Tail } from "./place.ts";
import type { SectionFold } from "./section-fold.ts";
import type { Numbers } from "./source.ts";
import type { Widening } from "./widen.ts";

type Ends = Pick<RoomRow, "firstOrderKey" | "lastOrderKey" | "lastChunk">;
type ChunkFacts = Pick<Landmark, "attestedFor" | "continues">;

const UNKNOWN_CHUNK: ChunkFacts = { attestedFor: undefined, continues: false };

/** The chunks of a room's draft, as they are now, and where the room begins and ends. Writes into the draft's `writes`. */
export class RoomChunks {
  ends: Ends;
  readonly #writes: RoomWrites;
  readonly #numbers: Numbers;
  readonly #facts = new Map<ChunkNid, ChunkFacts>();
  #ofLastEvent: ChunkNid | undefined;

  constructor({ row, end }: Pick<RoomBefore, "row" | "end">, writes: RoomWrites, numbers: Numbers) {
    const { firstOrderKey, lastOrderKey, lastChunk } = row;
    this.ends = { firstOrderKey, lastOrderKey, lastChunk };
    this.#writes = writes;
    this.#numbers = numbers;
    this.#ofLastEvent = end.chunk;
    if (lastChunk !== undefined) this.#facts.set(lastChunk, end);
  }

  /** The last chunk may be another one, which begins after a hole and has no event yet. */
  get ofLastEvent(): ChunkNid | undefined {
    return this.#ofLastEvent;
  }

  tail(): Tail | undefined {
    const { lastOrderKey: orderKey, lastChunk: chunk } = this.ends;
    if (orderKey === undefined || chunk === undefined) return undefined;
    return { orderKey, chunk, eventChunk: this.#ofLastEvent ?? chunk, ...this.factsOf(chunk) };
  }

  factsOf(chunk: ChunkNid): ChunkFacts {
    const { attestedFor, continues } = this.#facts.get(chunk) ?? UNKNOWN_CHUNK;
    return { attestedFor, continues };
  }

  learn(landmarks: Landmarks): void {
    for (const landmark of landmarks) {
      if (landmark !== undefined && !this.#facts.has(landmark.chunk)) this.#facts.set(landmark.chunk, landmark);
    }
  }

  /** Nothing is missing before the chunks. */
  join(chunks: readonly ChunkNid[], fold: SectionFold): void {
    for (const chunk of chunks) {
      this.#writes.joined.push(chunk);
      this.#facts.set(chunk, { ...this.factsOf(chunk), continues: true });
      fold.hasHistory = true;
    }
  }

  start(chunk: Omit<NewChunk, "chunk">, fold: SectionFold): ChunkNid {
    fold.hasHole ||= !chunk.continues;
    return this.#add({ chunk: this.#numbers.chunkNid(), ...chunk });
  }

  /** A timeline without an event may tell of a hole, too: what comes next begins a chunk. */
  markHole(attestedFor: NewChunk["attestedFor"], fold: SectionFold): void {
    if (fold.section.kind !== "join" || this.ends.lastOrderKey === undefined) return;
    const lastChunk = this.start({ attestedFor, continues: false, isStart: false }, fold);
    this.ends = { ...this.ends, lastChunk };
    fold.hasHistory = true;
  }

  /** Events moved; `isStart`: the room's creation is among them. */
  take({ started, joined, emptied, split, endChunk }: Widening, isStart: boolean, fold: SectionFold): void {
    if (started !== undefined) this.#add({ chunk: started, attestedFor: undefined, continues: false, isStart });
    if (split !== undefined) {
      this.#writes.splits.push(split);
      this.#add({ chunk: split.into, attestedFor: split.attestedFor, continues: true, isStart: false });
    }
    this.#writes.emptied.push(...emptied);
    this.join(joined, fold);
    this.#moveEnd(endChunk ?? (this.#ofLastEvent === split?.from ? split?.into : undefined));
    fold.hasHistory = true;
  }

  /** An event got its place. */
  note({ orderKey, isAtEnd, chunk }: Place<ChunkNid>): void {
    const { firstOrderKey = orderKey, lastOrderKey, lastChunk } = this.ends;
    this.ends = {
      firstOrderKey: Math.min(firstOrderKey, orderKey),
      lastOrderKey: isAtEnd ? orderKey : lastOrderKey,
      lastChunk: isAtEnd ? chunk : lastChunk,
    };
    if (isAtEnd) this.#ofLastEvent = chunk;
  }

  /** The last event goes into another chunk, where it stands. */
  #moveEnd(chunk: ChunkNid | undefined): void {
    if (chunk === undefined) return;
    if (this.ends.lastChunk === this.#ofLastEvent) this.ends = { ...this.ends, lastChunk: chunk };
    this.#ofLastEvent = chunk;
  }

  #add(chunk: NewChunk): ChunkNid {
    this.#writes.chunks.push(chunk);
    this.#facts.set(chunk.chunk, chunk);
    return chunk.chunk;
  }
}
