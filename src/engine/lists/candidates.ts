/** Rooms that may stand in a list, in columns: no object is made for a room. Reused from answer to answer. */
export class Candidates {
  size = 0;
  /** Index in the reader's rooms. */
  index = new Int32Array(0);
  room = new Int32Array(0);
  activity = new Float64Array(0);

  /** Forgets all and makes room for `capacity`. */
  reset(capacity: number): void {
    this.size = 0;
    if (this.index.length >= capacity) return;
    this.index = new Int32Array(capacity);
    this.room = new Int32Array(capacity);
    this.activity = new Float64Array(capacity);
  }

  add(index: number, room: number, activity: number): void {
    this.index[this.size] = index;
    this.room[this.size] = room;
    this.activity[this.size] = activity;
    this.size++;
  }

  /** Indexes in the reader's rooms. */
  indexesAt(slots: Int32Array): Int32Array {
    const indexes = new Int32Array(slots.length);
    for (let at = 0; at < slots.length; at++) indexes[at] = this.index[slots[at] ?? 0] ?? 0;
    return indexes;
  }

  /** Whether the room in slot `a` stands behind the one in slot `b`; by room number where activity is equal. */
  standsBehind(a: number, b: number): boolean {
    const difference = (this.activity[a] ?? 0) - (this.activity[b] ?? 0);
    return difference < 0 || (difference === 0 && (this.room[a] ?? 0) > (this.room[b] ?? 0));
  }
}
