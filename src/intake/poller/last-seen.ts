import type { EventId, RoomId } from "../../model/ids.ts";

/** Rooms at most, of each poller. More: memory of an idle one. Fewer: where a room goes on is known less often. */
const MAX_ROOMS = 200;

/** The last event that a stream had of each of the rooms that it had something of most recently. */
export class LastSeen {
  readonly #events = new Map<RoomId, EventId>();

  get events(): ReadonlyMap<RoomId, EventId> {
    return this.#events;
  }

  noteAll(events: Iterable<readonly [RoomId, EventId | undefined]>): void {
    for (const [roomId, eventId] of events) this.note(roomId, eventId);
  }

  note(roomId: RoomId, eventId: EventId | undefined): void {
    if (eventId === undefined) return;
    this.#events.delete(roomId);
    this.#events.set(roomId, eventId);
    const [oldest] = this.#events.keys();
    if (this.#events.size > MAX_ROOMS && oldest !== undefined) this.#events.delete(oldest);
  }
}
