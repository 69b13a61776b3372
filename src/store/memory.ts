import type { Change } from "../model/change.ts";
import { ChangeFlag, ChangeStream } from "../model/change.ts";
import type { RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { Queryable } from "./database.ts";
import { HotRooms, type RoomTurn } from "./hot-rooms.ts";
import { ReaderRooms, type ReaderRow, selectReaderRooms } from "./reader-rooms.ts";
import { RoomColumns } from "./room-columns.ts";

/** A user that is online, with their rooms. */
export interface OnlineReader {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly rooms: ReaderRooms;
}

/**
 * Everything that this process holds in memory of the store, equal to the store at the position up to which changes were
 * applied (or newer, where a value was read again). Nothing in it is required; all of it can be dropped and read again.
 */
export class Memory {
  readonly columns = new RoomColumns();
  readonly hotRooms: HotRooms;
  readonly #db: Queryable;
  readonly #readers = new Map<UserNid, OnlineReader>();
  /** Loads under way, with what changed since they began. */
  readonly #loading = new Map<UserNid, { readonly reader: Promise<OnlineReader>; missed: Set<RoomNid> | "all" }>();
  /** Who is online in a room. */
  readonly #byRoom = new Map<RoomNid, UserNid[]>();

  constructor(db: Queryable, hotRoomBytes: number) {
    this.#db = db;
    this.hotRooms = new HotRooms(db, hotRoomBytes);
  }

  get onlineUsers(): number {
    return this.#readers.size;
  }

  /** Online users that have to do with a room. */
  readersOf(room: RoomNid): readonly UserNid[] {
    return this.#byRoom.get(room) ?? [];
  }

  /** The rooms of a user, read when they are not in memory. */
  async reader(userNid: UserNid, userId: UserId): Promise<OnlineReader> {
    const known = this.#readers.get(userNid);
    if (known !== undefined) return known;
    const running = this.#loading.get(userNid);
    if (running !== undefined) return await running.reader;
    const load = { reader: this.#loadReader(userNid, userId), missed: new Set<RoomNid>() };
    this.#loading.set(userNid, load);
    try {
      return await load.reader;
    } finally {
      this.#loading.delete(userNid);
    }
  }

  /** Drops a user's rooms; they are read again when needed. */
  forget(userNid: UserNid): void {
    const reader = this.#readers.get(userNid);
    if (reader === undefined) return;
    this.#readers.delete(userNid);
    for (const room of reader.rooms.rooms()) {
      const left = (this.#byRoom.get(room) ?? []).filter((other) => other !== userNid);
      if (left.length === 0) this.#byRoom.delete(room);
      else this.#byRoom.set(room, left);
    }
  }

  /** Applies changes in order. Afterwards everything in memory is at least as new as the last of them. */
  async apply(changes: readonly Change[]): Promise<void> {
    const ofRooms = changes.filter(({ stream }) => stream === ChangeStream.room);
    const turns = new Map<RoomNid, { batches: number[]; isHistory: boolean }>();
    const stale = new Set<RoomNid>();
    for (const { room, batch, flags } of ofRooms) {
      if (room === undefined) continue;
      const turn = turns.get(room) ?? { batches: [], isHistory: false };
      turn.batches.push(batch);
      turn.isHistory ||= (flags & ChangeFlag.history) !== 0;
      turns.set(room, turn);
      if ((flags & (ChangeFlag.columns | ChangeFlag.history)) !== 0 || !this.columns.has(room)) stale.add(room);
    }
    await Promise.all([
      this.columns.reload(this.#db, [...stale]),
      this.hotRooms.apply(turns as ReadonlyMap<RoomNid, RoomTurn>),
      this.#applyMemberships(changes.filter(({ stream }) => stream === ChangeStream.membership)),
    ]);
    for (const change of ofRooms) this.#applyToColumns(change);
  }

  #applyToColumns({ room, position, flags, receivedUs }: Change): void {
    if (room === undefined) return;
    this.columns.apply(room, {
      position,
      isActivity: (flags & ChangeFlag.activity) !== 0 && (flags & ChangeFlag.history) === 0,
      isBump: (flags & ChangeFlag.bump) !== 0 && (flags & ChangeFlag.history) === 0,
      ...(receivedUs === undefined ? {} : { receivedUs }),
    });
  }

  async #applyMemberships(changes: readonly Change[]): Promise<void> {
    const rooms = new Map<UserNid, RoomNid[]>();
    for (const { userNid, room } of changes) {
      if (userNid === undefined) continue;
      const load = this.#loading.get(userNid);
      if (load !== undefined) load.missed = room === undefined || load.missed === "all" ? "all" : load.missed.add(room);
      if (!this.#readers.has(userNid)) continue;
      if (room === undefined) this.forget(userNid);
      else rooms.set(userNid, [...(rooms.get(userNid) ?? []), room]);
    }
    await Promise.all([...rooms].map(([userNid, changed]) => this.#reloadRooms(userNid, changed)));
  }

  async #reloadRooms(userNid: UserNid, rooms: readonly RoomNid[]): Promise<void> {
    const rows = await this.#selectRooms(userNid, rooms);
    const reader = this.#readers.get(userNid);
    if (reader === undefined) return;
    const fresh = rows.map(({ room }) => room as RoomNid).filter((room) => reader.rooms.indexOf(room) < 0);
    reader.rooms.apply(rows);
    for (const room of fresh) this.#byRoom.set(room, [...(this.#byRoom.get(room) ?? []), userNid]);
  }

  /** A change that comes while rows are read may be missing from them, so what changed is read again until nothing did. */
  async #loadReader(userNid: UserNid, userId: UserId): Promise<OnlineReader> {
    for (;;) {
      const rooms = new ReaderRooms(await this.#selectRooms(userNid, undefined), (roomId) => this.columns.find(roomId));
      for (;;) {
        const load = this.#loading.get(userNid);
        const missed = load?.missed ?? new Set<RoomNid>();
        if (load !== undefined) load.missed = new Set();
        if (missed === "all") break;
        if (missed.size === 0) {
          const reader = { userNid, userId, rooms };
          this.#keep(reader);
          return reader;
        }
        rooms.apply(await this.#selectRooms(userNid, [...missed]));
      }
    }
  }

  /** Rows of a reader's rooms; columns of rooms that are newer than this process's position are read with them. */
  async #selectRooms(userNid: UserNid, rooms: readonly RoomNid[] | undefined): Promise<readonly ReaderRow[]> {
    const rows = await selectReaderRooms(this.#db, userNid, rooms);
    await this.columns.reload(
      this.#db,
      rows.map(({ room }) => room as RoomNid).filter((room) => !this.columns.has(room)),
    );
    return rows;
  }

  #keep(reader: OnlineReader): void {
    this.#readers.set(reader.userNid, reader);
    for (const room of reader.rooms.rooms()) {
      const others = this.#byRoom.get(room);
      if (others === undefined) this.#byRoom.set(room, [reader.userNid]);
      else others.push(reader.userNid);
    }
  }
}
