import type { EventId, EventNid } from "../../model/ids.ts";
import type { ChunkSplit, KnownEvent, Landmark, Neighbour } from "../../model/room-facts.ts";

/** Which events of one room are stored, or will be with what is drafted, and where they stand. */
export class EventBook {
  readonly #stored: ReadonlyMap<EventId, KnownEvent>;
  readonly #known: Map<EventId, KnownEvent>;
  /** Places given out since. */
  readonly #placed: Landmark[] = [];
  readonly #splits: ChunkSplit[] = [];

  constructor(stored: ReadonlyMap<EventId, KnownEvent>) {
    this.#stored = stored;
    this.#known = new Map(stored);
  }

  nidOf(eventId: EventId): EventNid | undefined {
    return this.#known.get(eventId)?.nid;
  }

  /** Where an event stands now; undefined: in no timeline. */
  orderKeyOf(eventId: EventId): number | undefined {
    return this.#known.get(eventId)?.landmark?.orderKey;
  }

  /** The event was not stored before. */
  isNew(eventId: EventId): boolean {
    return !this.#stored.has(eventId);
  }

  /** The place of an event with its neighbours, those included that were placed since. */
  landmark(eventId: EventId): Landmark | undefined {
    const landmark = this.#known.get(eventId)?.landmark;
    if (landmark === undefined) return undefined;
    let { previous, next } = landmark;
    for (const placed of this.#placed) {
      const { orderKey } = placed;
      if (orderKey < landmark.orderKey && orderKey >= (previous?.orderKey ?? -Infinity)) previous = placed;
      if (orderKey > landmark.orderKey && orderKey <= (next?.orderKey ?? Infinity)) next = placed;
    }
    return { ...this.#splitOf(landmark), previous: this.#splitOf(previous), next: this.#splitOf(next) };
  }

  #splitOf<Stands extends Neighbour | undefined>(event: Stands): Stands {
    let stands = event;
    for (const { from, above, into } of this.#splits) {
      const isAbove = stands?.chunk === from && stands.orderKey > above;
      if (isAbove) stands = { ...stands, chunk: into, continues: true };
    }
    return stands;
  }

  /** What stands above an order key in a chunk is in another one from now on. */
  split(split: ChunkSplit): void {
    this.#splits.push(split);
  }

  /** An event that will be stored; with `landmark` it gets its place. */
  add(eventId: EventId, nid: EventNid, landmark: Landmark | undefined): void {
    this.#known.set(eventId, { nid, landmark });
    if (landmark !== undefined) this.#placed.push(landmark);
  }
}
