import type { ChunkNid, EventNid } from "../../model/ids.ts";
import type { Queryable } from "../../store/database.ts";
import { NumberBlocks } from "../../store/number-blocks.ts";
import type { ResponsePart } from "./part.ts";
import type { Numbers } from "./source.ts";
import { numbersNeeded } from "./store-parts.ts";

/** Numbers of one lane: a lane runs one transaction at a time, so that what it reserved nobody else takes. */
export class LaneNumbers implements Numbers {
  readonly #batches: NumberBlocks;
  readonly #events: NumberBlocks;
  readonly #chunks: NumberBlocks;

  constructor(db: Queryable) {
    this.#batches = new NumberBlocks(db, "batch_ids");
    this.#events = new NumberBlocks(db, "event_nids");
    this.#chunks = new NumberBlocks(db, "chunk_nids");
  }

  /** Reserves what storing the parts may take. */
  async ensure(parts: readonly ResponsePart[]): Promise<void> {
    const needed = numbersNeeded(parts);
    await this.#batches.ensure(needed.batches);
    await this.#events.ensure(needed.events);
    await this.#chunks.ensure(needed.chunks);
  }

  batch(): number {
    return this.#batches.take();
  }

  eventNid(): EventNid {
    return this.#events.take() as EventNid;
  }

  chunkNid(): ChunkNid {
    return this.#chunks.take() as ChunkNid;
  }
}
