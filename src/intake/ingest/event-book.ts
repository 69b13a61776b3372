import type { EventId, EventNid } from "../../model/ids.ts";
import type { KnownEvent, Landmark } from "../../model/room-facts.ts";

/** Which events of one room are stored, or will be with what is drafted, and where they stand. */
export class EventBook {
  readonly #stored: ReadonlyMap<EventId, KnownEvent>;
  readonly #known: Map<EventId, KnownEvent>;
  /** Places given out since. */
  readonly #placed: Landmark[] = [];

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
    if (landmark === undefined || this.#placed.length === 0) return landmark;
    let { previous, next } = landmark;
    for (const placed of this.#placed) {
      const { orderKey } = placed;
      if (orderKey < landmark.orderKey && orderKey >= (previous?.orderKey ?? -Infinity)) previous = placed;
      if (orderKey > landmark.orderKey && orderKey <= (next?.orderKey ?? Infinity)) next = placed;
    }
    return { ...landmark, previous, next };
  }

  /** An event that will be stored; with `landmark` it gets its place. */
  add(eventId: EventId, nid: EventNid, landmark: Landmark | undefined): void {
    this.#known.set(eventId, { nid, landmark });
    if (landmark !== undefined) this.#placed.push(landmark);
  }
}
