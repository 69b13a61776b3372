import { setOrDelete } from "../lib/set-or-delete.ts";
import type { RoomId, RoomNid } from "../model/ids.ts";
import { isDeparted, Membership } from "../model/membership.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import { Ending, firstAtLeast, indexIn, NO_ORDER_KEY, type ReaderRows, type UnreadCounts } from "./reader-selects.ts";

/** What a room weighs: the columns, and a part in who is online there. */
const ROOM_BYTES = 40;
/** What stands in maps; estimates that err upwards. */
const ENTRY_BYTES = 150;
const STRIPPED_OVERHEAD_BYTES = 200;

/**
 * The rooms of one user that is online, in memory: parallel columns by room number, about 30 bytes a room; what few rooms
 * have (counts, stripped state) in maps. A read model: made from all rows, {@link apply} takes some of them again.
 */
export class ReaderRooms {
  #rooms: Int32Array;
  #memberships: Uint8Array;
  #outside: Int32Array;
  #endings: Uint8Array;
  #changed: Float64Array;
  #newestChange = 0;
  #since: Float64Array;
  readonly #sinceUs: Map<number, number>;
  #orderKeys: Float64Array;
  readonly #heroesAt: Map<number, number>;
  readonly #counts: Map<number, UnreadCounts>;
  readonly #stripped: Map<number, Buffer>;
  #strippedBytes = 0;
  readonly #findRoom: (roomId: RoomId) => RoomNid | undefined;

  /** Takes the columns of `rows` over: nobody else may use them afterwards. */
  constructor(rows: ReaderRows, findRoom: (roomId: RoomId) => RoomNid | undefined) {
    this.#findRoom = findRoom;
    this.#rooms = rows.rooms;
    this.#memberships = rows.memberships;
    this.#outside = outsideOf(rows.memberships);
    this.#endings = rows.endings;
    this.#changed = rows.changed;
    for (const position of rows.changed) if (position > this.#newestChange) this.#newestChange = position;
    this.#since = rows.since;
    this.#sinceUs = new Map(rows.sinceUs);
    this.#orderKeys = rows.sinceOrderKeys;
    this.#heroesAt = new Map(rows.heroesAt);
    this.#counts = new Map(rows.counts);
    this.#stripped = new Map(rows.stripped);
    for (const { length } of rows.stripped.values()) this.#strippedBytes += length;
  }

  get size(): number {
    return this.#rooms.length;
  }

  get columns() {
    return { rooms: this.#rooms, memberships: this.#memberships, outside: this.#outside };
  }

  /** Estimated memory. */
  get bytes(): number {
    const inMaps = (this.#counts.size + this.#sinceUs.size + this.#heroesAt.size) * ENTRY_BYTES;
    const stripped = this.#stripped.size * STRIPPED_OVERHEAD_BYTES + this.#strippedBytes;
    return this.#rooms.length * ROOM_BYTES + inMaps + stripped;
  }

  /** Takes rows again that changed, or that are new. Returns the rooms that are new. */
  apply(rows: ReaderRows): readonly RoomNid[] {
    const added = rows.rooms.filter((room) => indexIn(this.#rooms, room) < 0);
    if (added.length > 0) this.#insert(added);
    let hasMoved = added.length > 0;
    rows.rooms.forEach((room, from) => {
      const index = indexIn(this.#rooms, room);
      const wasIn = this.#isIn(index);
      this.#set(index, rows, from);
      hasMoved ||= this.#isIn(index) !== wasIn;
    });
    if (hasMoved) this.#outside = outsideOf(this.#memberships);
    return [...added] as RoomNid[];
  }

  rooms(): Iterable<RoomNid> {
    return this.#rooms as Iterable<number> as Iterable<RoomNid>;
  }

  room(index: number): RoomNid {
    return (this.#rooms[index] ?? 0) as RoomNid;
  }

  membership(index: number): Membership {
    return (this.#memberships[index] ?? Membership.leave) as Membership;
  }

  changedAt(index: number): StreamPosition {
    return (this.#changed[index] ?? 0) as StreamPosition;
  }

  get newestChange(): StreamPosition {
    return this.#newestChange as StreamPosition;
  }

  since(index: number): StreamPosition {
    return (this.#since[index] ?? 0) as StreamPosition;
  }

  activityOutside(index: number): number {
    return this.#sinceUs.get(this.room(index)) ?? this.since(index);
  }

  isDoneWith(index: number): boolean {
    return this.#hasEnded(index, Ending.byChoice | Ending.forgotten);
  }

  isForgotten(index: number): boolean {
    return this.#hasEnded(index, Ending.forgotten);
  }

  isRecalled(index: number): boolean {
    return this.#hasEnded(index, Ending.recalled);
  }

  sinceOrderKey(index: number): number | undefined {
    const orderKey = this.#orderKeys[index] ?? NO_ORDER_KEY;
    return orderKey === NO_ORDER_KEY ? undefined : orderKey;
  }

  heroesAt(index: number): StreamPosition {
    return (this.#heroesAt.get(this.room(index)) ?? this.since(index)) as StreamPosition;
  }

  notificationCount(index: number): number {
    return this.#counts.get(this.room(index))?.notifications ?? 0;
  }

  highlightCount(index: number): number {
    return this.#counts.get(this.room(index))?.highlights ?? 0;
  }

  strippedState(index: number): Buffer | undefined {
    return this.#stripped.get(this.room(index));
  }

  /** -1: none. */
  indexOf(room: RoomNid): number {
    return indexIn(this.#rooms, room);
  }

  findRoom(roomId: RoomId): RoomNid | undefined {
    const room = this.#findRoom(roomId);
    return room !== undefined && this.indexOf(room) >= 0 ? room : undefined;
  }

  #isIn(index: number): boolean {
    return this.#memberships[index] === Membership.join;
  }

  #hasEnded(index: number, how: number): boolean {
    return isDeparted(this.membership(index)) && ((this.#endings[index] ?? 0) & how) !== 0;
  }

  #set(index: number, rows: ReaderRows, from: number): void {
    const room = this.#rooms[index] ?? 0;
    this.#memberships[index] = rows.memberships[from] ?? Membership.leave;
    this.#endings[index] = rows.endings[from] ?? 0;
    const changed = rows.changed[from] ?? 0;
    this.#changed[index] = changed;
    this.#newestChange = Math.max(this.#newestChange, changed);
    this.#since[index] = rows.since[from] ?? 0;
    this.#orderKeys[index] = rows.sinceOrderKeys[from] ?? NO_ORDER_KEY;
    setOrDelete(this.#sinceUs, room, rows.sinceUs.get(room));
    setOrDelete(this.#heroesAt, room, rows.heroesAt.get(room));
    setOrDelete(this.#counts, room, rows.counts.get(room));
    const stripped = rows.stripped.get(room);
    this.#strippedBytes += (stripped?.length ?? 0) - (this.#stripped.get(room)?.length ?? 0);
    setOrDelete(this.#stripped, room, stripped);
  }

  /** Makes place for rooms that are new, ascending. Copies the columns, in runs: a first sync mostly adds rooms at the end. */
  #insert(added: Int32Array): void {
    const old = this.#rooms;
    const rooms = new Int32Array(old.length + added.length);
    // Where in `old` each run ends that stands between two added rooms.
    const ends = Int32Array.from(added, (room) => firstAtLeast(old, room));
    const moved = <Column extends Int32Array | Uint8Array | Float64Array>(from: Column, to: Column): Column => {
      let start = 0;
      for (let count = 0; count <= ends.length; count++) {
        const end = ends[count] ?? from.length;
        to.set(from.subarray(start, end), start + count);
        start = end;
      }
      return to;
    };
    this.#rooms = moved(old, rooms);
    added.forEach((room, index) => {
      rooms[(ends[index] ?? 0) + index] = room;
    });
    this.#memberships = moved(this.#memberships, new Uint8Array(rooms.length));
    this.#endings = moved(this.#endings, new Uint8Array(rooms.length));
    this.#changed = moved(this.#changed, new Float64Array(rooms.length));
    this.#since = moved(this.#since, new Float64Array(rooms.length));
    this.#orderKeys = moved(this.#orderKeys, new Float64Array(rooms.length));
  }
}

function outsideOf(memberships: Uint8Array): Int32Array {
  const outside = new Int32Array(memberships.length);
  let count = 0;
  for (let index = 0; index < memberships.length; index++)
    if (memberships[index] !== Membership.join) outside[count++] = index;
  return outside.slice(0, count);
}
