import { setOrDelete } from "../lib/set-or-delete.ts";
import type { RoomId, RoomNid } from "../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import { type ColumnRows, selectAllColumns } from "./column-selects.ts";
import type { Queryable } from "./database.ts";

/** Fewer: a scan takes more steps. More: one that changed makes it look at more others. */
const NEIGHBOUR_BITS = 5;
/** Columns start with room for so many rooms and double from there. */
const INITIAL_ROOMS = 1024;

/**
 * What all readers of a room share, of every room, in memory: numbers in typed columns addressed by room number, so that
 * ordering a reader's rooms is a scan over one column. A read model: {@link load} and {@link apply}.
 */
export class RoomColumns {
  #activity = new Float64Array(INITIAL_ROOMS);
  #bump = new Float64Array(INITIAL_ROOMS);
  #activityNear = new Float64Array(INITIAL_ROOMS >> NEIGHBOUR_BITS);
  #incompleteNear = new Int32Array(INITIAL_ROOMS >> NEIGHBOUR_BITS);
  #changed = new Float64Array(INITIAL_ROOMS);
  #changedNear = new Float64Array(INITIAL_ROOMS >> NEIGHBOUR_BITS);
  #members = new Float64Array(INITIAL_ROOMS);
  #receivedUs = new Float64Array(INITIAL_ROOMS);
  #receipts = new Float64Array(INITIAL_ROOMS);
  #typing = new Float64Array(INITIAL_ROOMS);
  #ephemeralNear = new Float64Array(INITIAL_ROOMS >> NEIGHBOUR_BITS);
  /** Of receipts and typing up to it nothing is known. */
  #beginning = BEFORE_ALL;
  #complete = new Uint8Array(INITIAL_ROOMS);
  #encrypted = new Uint8Array(INITIAL_ROOMS);
  #joined = new Int32Array(INITIAL_ROOMS);
  #invited = new Int32Array(INITIAL_ROOMS);
  readonly #roomIds: (RoomId | undefined)[] = [];
  readonly #types = new Map<RoomNid, string>();
  readonly #encryptionOrderKeys = new Map<RoomNid, number>();
  readonly #names: (string | undefined)[] = [];
  readonly #avatars: (string | undefined)[] = [];
  readonly #byId = new Map<RoomId, RoomNid>();

  get size(): number {
    return this.#byId.size;
  }

  get columns() {
    return {
      activity: this.#activity,
      complete: this.#complete,
      neighbourBits: NEIGHBOUR_BITS,
      activityNear: this.#activityNear,
      incompleteNear: this.#incompleteNear,
    };
  }

  /** Changes after this position are going to be applied. Receipts and typing count as changed here: when they did is not read. */
  begin(position: StreamPosition): void {
    this.#beginning = position;
  }

  /** Reads every room. */
  async load(db: Queryable): Promise<void> {
    for await (const rows of selectAllColumns(db)) this.take(rows);
  }

  /**
   * Takes rooms as they were read. A read that was overtaken by a later one, or by {@link apply}, says nothing new: what is
   * known of such a room stays.
   */
  take(rows: ColumnRows): void {
    for (let index = 0; index < rows.rooms.length; index++) {
      const room = (rows.rooms[index] ?? 0) as RoomNid;
      if (!this.has(room) || (rows.changed[index] ?? 0) >= this.changedAt(room)) this.#set(room, rows, index);
    }
  }

  /** Applies what a change row itself says of a room that is known. */
  apply(
    room: RoomNid,
    change: { position: StreamPosition; isActivity: boolean; isBump: boolean; receivedUs?: number },
  ): void {
    this.#reach(room);
    const { position } = change;
    if (position > (this.#changed[room] ?? 0)) this.#setChanged(room, position);
    if (change.isActivity && position > (this.#activity[room] ?? 0)) this.#setActivity(room, position);
    if (change.isBump) raise(this.#bump, room, position);
    if (change.receivedUs !== undefined) this.#receivedUs[room] = change.receivedUs;
  }

  /** Applies what a change row says of receipts or typing. */
  applyEphemeral(room: RoomNid, stream: "receipts" | "typing", position: StreamPosition): void {
    this.#reach(room);
    const column = stream === "receipts" ? this.#receipts : this.#typing;
    raise(column, room, position);
    raise(this.#ephemeralNear, room >> NEIGHBOUR_BITS, position);
  }

  find(roomId: RoomId): RoomNid | undefined {
    return this.#byId.get(roomId);
  }

  has(room: RoomNid): boolean {
    return this.#roomIds[room] !== undefined;
  }

  roomId(room: RoomNid): RoomId {
    const roomId = this.#roomIds[room];
    if (roomId === undefined) throw new Error(`room ${room} is not in memory`);
    return roomId;
  }

  activity(room: RoomNid): number {
    return this.#activity[room] ?? 0;
  }

  bumpStamp(room: RoomNid): number {
    return this.#bump[room] ?? 0;
  }

  changedAt(room: RoomNid): StreamPosition {
    return (this.#changed[room] ?? BEFORE_ALL) as StreamPosition;
  }

  /**
   * Not before {@link changedAt}: when the room or one of its neighbours changed. A scan over thousands of rooms finds with few
   * looks that none changed, since a user's rooms are mostly neighbours.
   */
  changedNear(room: RoomNid): StreamPosition {
    return (this.#changedNear[room >> NEIGHBOUR_BITS] ?? BEFORE_ALL) as StreamPosition;
  }

  /** Not before the newest change of receipts in the room. */
  receiptsAt(room: RoomNid): StreamPosition {
    return Math.max(this.#receipts[room] ?? 0, this.#beginning) as StreamPosition;
  }

  typingAt(room: RoomNid): StreamPosition {
    return Math.max(this.#typing[room] ?? 0, this.#beginning) as StreamPosition;
  }

  /** Not before {@link receiptsAt} and {@link typingAt}, of the room or one of its neighbours. */
  ephemeralNear(room: RoomNid): StreamPosition {
    return Math.max(this.#ephemeralNear[room >> NEIGHBOUR_BITS] ?? 0, this.#beginning) as StreamPosition;
  }

  /** When the homeserver's response with the newest fact of the room had been read, in microseconds; 0: unknown. */
  receivedUs(room: RoomNid): number {
    return this.#receivedUs[room] ?? 0;
  }

  isComplete(room: RoomNid): boolean {
    return this.#complete[room] === 1;
  }

  membersKnownAt(room: RoomNid): StreamPosition | undefined {
    const position = this.#members[room] ?? 0;
    return position === 0 ? undefined : (position as StreamPosition);
  }

  isEncrypted(room: RoomNid): boolean {
    return this.#encrypted[room] === 1;
  }

  encryptionOrderKey(room: RoomNid): number | undefined {
    return this.#encryptionOrderKeys.get(room);
  }

  roomType(room: RoomNid): string | undefined {
    return this.#types.get(room);
  }

  name(room: RoomNid): string | undefined {
    return this.#names[room];
  }

  avatar(room: RoomNid): string | undefined {
    return this.#avatars[room];
  }

  joinedCount(room: RoomNid): number | undefined {
    const count = this.#joined[room] ?? -1;
    return count < 0 ? undefined : count;
  }

  invitedCount(room: RoomNid): number | undefined {
    const count = this.#invited[room] ?? -1;
    return count < 0 ? undefined : count;
  }

  #set(room: RoomNid, rows: ColumnRows, index: number): void {
    this.#reach(room);
    this.#setComplete(room, rows.isShown[index] === 1);
    const roomId = (rows.roomIds[index] ?? "") as RoomId;
    this.#roomIds[room] = roomId;
    this.#byId.set(roomId, room);
    this.#setActivity(room, rows.activity[index] ?? 0);
    this.#bump[room] = rows.bump[index] ?? 0;
    this.#setChanged(room, rows.changed[index] ?? 0);
    this.#members[room] = rows.members[index] ?? 0;
    this.#encrypted[room] = rows.isEncrypted[index] ? 1 : 0;
    this.#joined[room] = rows.joinedCounts[index] ?? -1;
    this.#invited[room] = rows.invitedCounts[index] ?? -1;
    this.#names[room] = rows.names[index] ?? undefined;
    this.#avatars[room] = rows.avatars[index] ?? undefined;
    setOrDelete(this.#types, room, rows.roomTypes[index] ?? undefined);
    setOrDelete(this.#encryptionOrderKeys, room, rows.encryptionOrderKeys.get(room));
  }

  #setActivity(room: RoomNid, activity: number): void {
    this.#activity[room] = activity;
    raise(this.#activityNear, room >> NEIGHBOUR_BITS, activity);
  }

  /** Before the room is known: until then it counts neither as complete nor as incomplete. */
  #setComplete(room: RoomNid, isComplete: boolean): void {
    const before = this.has(room) && !this.isComplete(room) ? 1 : 0;
    const group = room >> NEIGHBOUR_BITS;
    this.#incompleteNear[group] = (this.#incompleteNear[group] ?? 0) - before + (isComplete ? 0 : 1);
    this.#complete[room] = isComplete ? 1 : 0;
  }

  #setChanged(room: RoomNid, position: number): void {
    this.#changed[room] = position;
    raise(this.#changedNear, room >> NEIGHBOUR_BITS, position);
  }

  /** Grows the columns so that `room` is inside; a room that is not known yet has no counts. */
  #reach(room: number): void {
    if (room < this.#complete.length) return;
    const length = Math.max(room + 1, this.#complete.length * 2);
    this.#activity = grown(this.#activity, new Float64Array(length));
    this.#activityNear = grown(this.#activityNear, new Float64Array((length >> NEIGHBOUR_BITS) + 1));
    this.#incompleteNear = grown(this.#incompleteNear, new Int32Array((length >> NEIGHBOUR_BITS) + 1));
    this.#bump = grown(this.#bump, new Float64Array(length));
    this.#changed = grown(this.#changed, new Float64Array(length));
    this.#changedNear = grown(this.#changedNear, new Float64Array((length >> NEIGHBOUR_BITS) + 1));
    this.#members = grown(this.#members, new Float64Array(length));
    this.#receivedUs = grown(this.#receivedUs, new Float64Array(length));
    this.#receipts = grown(this.#receipts, new Float64Array(length));
    this.#typing = grown(this.#typing, new Float64Array(length));
    this.#ephemeralNear = grown(this.#ephemeralNear, new Float64Array((length >> NEIGHBOUR_BITS) + 1));
    this.#complete = grown(this.#complete, new Uint8Array(length));
    this.#encrypted = grown(this.#encrypted, new Uint8Array(length));
    this.#joined = grown(this.#joined, new Int32Array(length));
    this.#invited = grown(this.#invited, new Int32Array(length));
  }
}

function raise(column: Float64Array, index: number, value: number): void {
  if (value > (column[index] ?? 0)) column[index] = value;
}

function grown<Column extends Float64Array | Int32Array | Uint8Array>(from: Column, to: Column): Column {
  to.set(from);
  return to;
}
