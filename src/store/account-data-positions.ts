import type { Change } from "../model/change.ts";
import type { RoomNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";

/** What a room weighs whose account data changed; an estimate that errs upwards. */
const ROOM_BYTES = 50;

/**
 * When a reader's account data changed since the reader is in memory. A read model without a load: what changed before counts as
 * changed at the beginning, and is looked up once.
 */
export class AccountDataPositions {
  readonly #beginning: StreamPosition;
  #globalAt: StreamPosition;
  #newestAt: StreamPosition;
  readonly #byRoom = new Map<RoomNid, StreamPosition>();

  /** @param beginning changes after it are going to be applied. */
  constructor(beginning: StreamPosition) {
    this.#beginning = beginning;
    this.#globalAt = beginning;
    this.#newestAt = beginning;
  }

  /** Estimated memory. */
  get bytes(): number {
    return ROOM_BYTES * this.#byRoom.size;
  }

  get globalAt(): StreamPosition {
    return this.#globalAt;
  }

  get newestAt(): StreamPosition {
    return this.#newestAt;
  }

  at(room: RoomNid): StreamPosition {
    return this.#byRoom.get(room) ?? this.#beginning;
  }

  apply({ room, rooms, position }: Pick<Change, "room" | "rooms" | "position">): void {
    if (position <= this.#beginning) return;
    this.#newestAt = later(this.#newestAt, position);
    const changed = rooms ?? (room === undefined ? undefined : [room]);
    if (changed === undefined) this.#globalAt = later(this.#globalAt, position);
    for (const each of changed ?? []) this.#byRoom.set(each, later(this.at(each), position));
  }
}

const later = (a: StreamPosition, b: StreamPosition): StreamPosition => (a > b ? a : b);
