/**
 * The most recent of the rooms that are offered, in columns: no object is made for a room. A bounded heap with the oldest room
 * on top: of an account of 10,000 rooms nearly all cost one comparison with that, and only those are put in order whose order is
 * asked for. Reused from list to list.
 */
export class NewestRooms {
  #capacity = 0;
  #size = 0;
  #least = Number.NEGATIVE_INFINITY;
  /** Index in the reader's rooms. */
  #indexes = new Int32Array(0);
  #rooms = new Int32Array(0);
  #activities = new Float64Array(0);

  get size(): number {
    return this.#size;
  }

  /** A room with less activity need not be offered. */
  get least(): number {
    return this.#least;
  }

  /** Forgets all. @param capacity rooms that are kept. */
  reset(capacity: number): void {
    this.#capacity = capacity;
    this.#size = 0;
    this.#least = capacity > 0 ? Number.NEGATIVE_INFINITY : Number.POSITIVE_INFINITY;
    if (this.#indexes.length >= capacity) return;
    this.#indexes = new Int32Array(capacity);
    this.#rooms = new Int32Array(capacity);
    this.#activities = new Float64Array(capacity);
  }

  /** Each room once. Of two with equal activity the one with the lower number is the more recent one. */
  offer(index: number, room: number, activity: number): void {
    if (activity >= this.#least) this.#take(index, room, activity);
  }

  /**
   * Their indexes in the reader's rooms: the newest `from` in any order, then the others, newest first. Valid until the next reset,
   * before which nothing more can be offered.
   */
  indexes(from: number): Int32Array {
    const { size } = this;
    if (size < this.#capacity) this.#makeHeap();
    // What is taken from the top, the oldest first, fills the end.
    while (this.#size > Math.max(from, 1)) {
      this.#size -= 1;
      this.#swap(0, this.#size);
      this.#sink(0);
    }
    this.#size = size;
    return this.#indexes.subarray(0, size);
  }

  #take(index: number, room: number, activity: number): void {
    if (this.#size < this.#capacity) {
      this.#set(this.#size++, index, room, activity);
      if (this.#size === this.#capacity) this.#makeHeap();
    } else if (activity > this.#least || room < (this.#rooms[0] ?? 0)) {
      this.#set(0, index, room, activity);
      this.#sink(0);
      this.#least = this.#activities[0] ?? 0;
    }
  }

  #makeHeap(): void {
    for (let slot = (this.#size >> 1) - 1; slot >= 0; slot--) this.#sink(slot);
    this.#least = this.#activities[0] ?? 0;
  }

  /** Restores the heap below `slot`: every parent stands behind its children. */
  #sink(slot: number): void {
    for (let above = slot; ; ) {
      let child = 2 * above + 1;
      if (child >= this.#size) return;
      if (child + 1 < this.#size && this.#standsBehind(child + 1, child)) child++;
      if (!this.#standsBehind(child, above)) return;
      this.#swap(above, child);
      above = child;
    }
  }

  #standsBehind(a: number, b: number): boolean {
    const difference = (this.#activities[a] ?? 0) - (this.#activities[b] ?? 0);
    return difference < 0 || (difference === 0 && (this.#rooms[a] ?? 0) > (this.#rooms[b] ?? 0));
  }

  #set(slot: number, index: number, room: number, activity: number): void {
    this.#indexes[slot] = index;
    this.#rooms[slot] = room;
    this.#activities[slot] = activity;
  }

  #swap(a: number, b: number): void {
    const [index = 0, room = 0, activity = 0] = [this.#indexes[a], this.#rooms[a], this.#activities[a]];
    this.#set(a, this.#indexes[b] ?? 0, this.#rooms[b] ?? 0, this.#activities[b] ?? 0);
    this.#set(b, index, room, activity);
  }
}
