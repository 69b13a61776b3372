import { ByteCache } from "../lib/byte-cache.ts";
import { setOrDelete } from "../lib/set-or-delete.ts";
import { type Change, ChangeStream } from "../model/change.ts";
import type { RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { ReaderFacts } from "../model/reader-facts.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import { AccountDataPositions } from "./account-data-positions.ts";
import { type ColumnRows, selectColumns } from "./column-selects.ts";
import type { Queryable } from "./database.ts";
import { NO_FACTS, selectReaderFacts } from "./reader-facts.ts";
import { ReaderRooms } from "./reader-rooms.ts";
import { type ReaderRoomsWanted, type ReaderRows, selectReaderRooms, selectSomeReaderRooms } from "./reader-selects.ts";
import { type ReaderTags, selectReaderTags, selectSomeReaderTags } from "./reader-tags.ts";
import type { RoomColumns } from "./room-columns.ts";
import { RoomReaders } from "./room-readers.ts";

/** A user that is online, with their rooms. */
export interface OnlineReader {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly rooms: ReaderRooms;
  readonly own: ReaderFacts;
  readonly tags: ReaderTags;
  readonly accountData: AccountDataPositions;
  readonly bytes: number;
}

/** The facts are taken again when they change. */
type KeptReader = OnlineReader & { own: ReaderFacts; readonly tags: Map<RoomNid, ReadonlySet<string>> };

const NO_TAGS: ReaderTags = new Map();
/** What a room with tags weighs; an estimate that errs upwards. */
const TAGGED_BYTES = 300;

/** Of what concerns a room, that which an answer may wait for. */
const WAKING_ROOM_STREAMS: ReadonlySet<ChangeStream> = new Set([
  ChangeStream.room,
  ChangeStream.receipts,
  ChangeStream.typing,
]);

const FACT_STREAMS: ReadonlySet<ChangeStream> = new Set([ChangeStream.membership, ChangeStream.accountData]);

/** Of what concerns one user, that which an answer may wait for. */
const WAKING_STREAMS: ReadonlySet<ChangeStream> = new Set([
  ChangeStream.membership,
  ChangeStream.accountData,
  ChangeStream.history,
  ChangeStream.sent,
  ChangeStream.toDevice,
  ChangeStream.deviceLists,
  ChangeStream.keys,
]);

export interface OnlineReadersOptions {
  readonly maxBytes: number;
  /** Somebody waits for news of the user, who is not dropped then. */
  readonly isWaitedFor: (userNid: UserNid) => boolean;
}

/** What changed of a reader: in rooms, and what belongs to none. */
interface Touched {
  readonly rooms: Set<RoomNid>;
  /** Rooms with account data of the reader, which may be tags. */
  readonly tagged: Set<RoomNid>;
  hasOther: boolean;
}

interface Loading {
  readonly reader: Promise<OnlineReader>;
  /** What changed since the rows were asked for: it may be missing from them. */
  missed: Touched;
}

/**
 * The rooms of users that are online, within a budget in bytes. Never required: who is not here is read. A read model: rows
 * are read whole, {@link prepare} reads those again that changed.
 */
export class OnlineReaders {
  readonly #db: Queryable;
  readonly #columns: RoomColumns;
  readonly #readers: ByteCache<UserNid, KeptReader>;
  readonly #loading = new Map<UserNid, Loading>();
  readonly #byRoom = new RoomReaders();
  /** Changes up to it were applied. */
  #position = BEFORE_ALL;

  constructor(db: Queryable, columns: RoomColumns, { maxBytes, isWaitedFor }: OnlineReadersOptions) {
    this.#db = db;
    this.#columns = columns;
    const onDrop = (_user: UserNid, reader: KeptReader) => this.#byRoom.removeAll(reader.userNid, reader.rooms.rooms());
    this.#readers = new ByteCache({ maxBytes, isInUse: isWaitedFor, onDrop });
  }

  get size(): number {
    return this.#readers.size;
  }

  /** The rooms of a user, read when they are not in memory. Columns of all of them are in memory afterwards. */
  async get(userNid: UserNid, userId: UserId): Promise<OnlineReader> {
    const known = this.#readers.get(userNid);
    if (known !== undefined) return known;
    const running = this.#loading.get(userNid);
    if (running !== undefined) return await running.reader;
    const load = { reader: this.#load(userNid, userId), missed: untouched() };
    this.#loading.set(userNid, load);
    try {
      return await load.reader;
    } finally {
      this.#loading.delete(userNid);
    }
  }

  /** Drops a user's rooms; they are read again when needed. */
  forget(userNid: UserNid): void {
    const reader = this.#readers.peek(userNid);
    if (reader === undefined) return;
    this.#readers.delete(userNid);
    this.#byRoom.removeAll(userNid, reader.rooms.rooms());
  }

  /** The user's rooms are arriving with a first sync that takes long. */
  isArriving(userNid: UserNid): boolean {
    return this.#readers.peek(userNid)?.own.announcedJoined !== undefined;
  }

  /** Users that changes may be news to. Which rooms a user has whose rooms are being read is not known yet. */
  concernedBy(changes: readonly Change[]): ReadonlySet<UserNid> {
    const users = new Set<UserNid>();
    for (const { stream, room, userNid } of changes) {
      if (WAKING_STREAMS.has(stream) && userNid !== undefined) users.add(userNid);
      if (!WAKING_ROOM_STREAMS.has(stream) || room === undefined) continue;
      this.#byRoom.addTo(users, room);
      for (const loading of this.#loading.keys()) users.add(loading);
    }
    return users;
  }

  /** Changes after this position are going to be prepared and applied. */
  begin(position: StreamPosition): void {
    this.#position = position;
  }

  /** Reads what changed. The result takes it in, in one step, once the position of this process moves there. */
  async prepare(changes: readonly Change[], position: StreamPosition): Promise<() => void> {
    const touched = this.#touched(changes);
    const [rows, tags, facts] = await Promise.all([
      selectSomeReaderRooms(this.#db, touched),
      selectSomeReaderTags(this.#db, touched),
      selectReaderFacts(this.#db, this.#withOtherFacts(changes)),
    ]);
    const columns = await this.#readColumns([...rows.values()].flatMap(({ rooms }) => [...rooms] as RoomNid[]));
    return () => {
      if (columns !== undefined) this.#columns.take(columns);
      for (const [userNid, own] of rows) this.#apply(userNid, own);
      for (const { userNid, tagged } of touched) this.#tag(userNid, tagged, tags.get(userNid));
      for (const [userNid, own] of facts) this.#takeFacts(userNid, own);
      // Also for readers who came while this was read: what they know of account data begins at the position before.
      for (const change of changes) this.#noteAccountData(change);
      this.#position = position;
    };
  }

  /** Readers that changed; what is missing from loads under way is noted. */
  #touched(changes: readonly Change[]): readonly (ReaderRoomsWanted & Touched)[] {
    const wanted = new Map<UserNid, ReaderRoomsWanted & Touched>();
    for (const change of changes) {
      const { stream, userNid } = change;
      if (userNid === undefined || !FACT_STREAMS.has(stream)) continue;
      const load = this.#loading.get(userNid);
      if (load !== undefined) touch(load.missed, change);
      const reader = this.#readers.peek(userNid);
      if (reader === undefined) continue;
      const known = wanted.get(userNid) ?? { userNid, userId: reader.userId, ...untouched() };
      touch(known, change);
      wanted.set(userNid, known);
    }
    return [...wanted.values()];
  }

  /** Readers of whom something changed that belongs to no room; a load under way reads it again. */
  #withOtherFacts(changes: readonly Change[]): readonly UserNid[] {
    const users = new Set<UserNid>();
    for (const change of changes) {
      const { stream, userNid } = change;
      if (userNid === undefined || isOfRooms(change) || !FACT_STREAMS.has(stream)) continue;
      const load = this.#loading.get(userNid);
      if (load !== undefined) touch(load.missed, change);
      if (this.#readers.peek(userNid) !== undefined) users.add(userNid);
    }
    return [...users];
  }

  #noteAccountData(change: Change): void {
    if (change.stream !== ChangeStream.accountData || change.userNid === undefined) return;
    const reader = this.#readers.peek(change.userNid);
    reader?.accountData.apply(change);
    if (reader !== undefined) this.#readers.reweigh(change.userNid);
  }

  #takeFacts(userNid: UserNid, own: ReaderFacts): void {
    const reader = this.#readers.peek(userNid);
    if (reader !== undefined) reader.own = own;
  }

  #tag(userNid: UserNid, tagged: ReadonlySet<RoomNid>, tags: ReaderTags = NO_TAGS): void {
    const reader = this.#readers.peek(userNid);
    if (reader === undefined) return;
    takeTags(reader.tags, tagged, tags);
    this.#readers.reweigh(userNid);
  }

  #apply(userNid: UserNid, rows: ReaderRows): void {
    const reader = this.#readers.peek(userNid);
    if (reader === undefined) return;
    this.#byRoom.addAll(userNid, reader.rooms.apply(rows));
    this.#readers.reweigh(userNid);
  }

  /** A change that comes while rows are read may be missing from them, so what changed is read again until nothing did. */
  async #load(userNid: UserNid, userId: UserId): Promise<OnlineReader> {
    const [rows, tags, facts] = await Promise.all([
      selectReaderRooms(this.#db, userNid, userId),
      selectReaderTags(this.#db, userNid),
      selectReaderFacts(this.#db, [userNid]),
    ]);
    const rooms = new ReaderRooms(rows, (id) => this.#columns.find(id));
    let own = facts.get(userNid) ?? NO_FACTS;
    for (;;) {
      const columns = await this.#readColumns(rooms.rooms());
      if (columns !== undefined) this.#columns.take(columns);
      const missed = this.#takeMissed(userNid);
      if (missed.rooms.size + missed.tagged.size === 0 && !missed.hasOther) break;
      const again = [{ userNid, userId, ...missed }];
      for (const own of (await selectSomeReaderRooms(this.#db, again)).values()) rooms.apply(own);
      takeTags(tags, missed.tagged, (await selectSomeReaderTags(this.#db, again)).get(userNid) ?? NO_TAGS);
      own = (await selectReaderFacts(this.#db, [userNid])).get(userNid) ?? NO_FACTS;
    }
    const accountData = new AccountDataPositions(this.#position);
    const reader: KeptReader = {
      userNid,
      userId,
      rooms,
      own,
      tags,
      accountData,
      get bytes() {
        return rooms.bytes + TAGGED_BYTES * tags.size + accountData.bytes;
      },
    };
    this.#byRoom.addAll(userNid, rooms.rooms());
    this.#readers.set(userNid, reader);
    return reader;
  }

  #takeMissed(userNid: UserNid): Touched {
    const load = this.#loading.get(userNid);
    const missed = load?.missed ?? untouched();
    if (load !== undefined) load.missed = untouched();
    return missed;
  }

  /** Columns of rooms that are not known: newer than the position of this process, or without any change of their own. */
  async #readColumns(rooms: Iterable<RoomNid>): Promise<ColumnRows | undefined> {
    const unknown = new Set<RoomNid>();
    for (const room of rooms) if (!this.#columns.has(room)) unknown.add(room);
    return await selectColumns(this.#db, unknown);
  }
}

const untouched = (): Touched => ({ rooms: new Set(), tagged: new Set(), hasOther: false });

/** Rooms that have no tags any more are not in `tags`. */
function takeTags(into: Map<RoomNid, ReadonlySet<string>>, tagged: ReadonlySet<RoomNid>, tags: ReaderTags): void {
  for (const room of tagged) setOrDelete(into, room, tags.get(room));
}

const isOfRooms = ({ room, rooms }: Change): boolean => room !== undefined || rooms !== undefined;

function touch(touched: Touched, change: Change): void {
  const rooms = change.stream === ChangeStream.membership ? touched.rooms : touched.tagged;
  for (const room of change.rooms ?? (change.room === undefined ? [] : [change.room])) rooms.add(room);
  touched.hasOther ||= !isOfRooms(change);
}
