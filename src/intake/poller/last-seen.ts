import type { EventId, RoomId } from "../../model/ids.ts";

/** Events at most, of each poller. More: memory of an idle one. Fewer: where a room goes on is known less often. */
const MAX_EVENTS = 400;

/** The events that a stream had last of each of the rooms that it had something of most recently. */
export class LastSeen {
  readonly #events = new Map<RoomId, readonly EventId[]>();
  #count = 0;

  get events(): ReadonlyMap<RoomId, readonly EventId[]> {
    return this.#events;
  }

  note(roomId: RoomId, eventIds: readonly EventId[]): void {
    this.#forget(roomId);
    this.#events.set(roomId, eventIds);
    this.#count += eventIds.length;
    for (const oldest of this.#events.keys()) {
      if (this.#count <= MAX_EVENTS && this.#events.size <= MAX_EVENTS) break;
      this.#forget(oldest);
    }
  }

  #forget(roomId: RoomId): void {
    this.#count -= this.#events.get(roomId)?.length ?? 0;
    this.#events.delete(roomId);
  }
}
