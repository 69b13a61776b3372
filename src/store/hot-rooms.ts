import { ByteCache } from "../lib/byte-cache.ts";
import type { RoomNid, UserId } from "../model/ids.ts";
import type { StateEvent } from "../model/stored-event.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { chunksOf, toReadEvent, toStateEvent } from "./event-rows.ts";
import { HotRoom, type HotRoomNews, MAX_TAIL_EVENTS } from "./hot-room.ts";
import { selectMembers, selectNamedMembers } from "./member-selects.ts";
import { selectAppended, selectBatchState, selectNewest, selectState } from "./room-selects.ts";

/** Events read of a room that becomes hot, at least; lists ask for one or two. Larger: what no timeline shows is read as well. */
const MIN_TAIL_EVENTS = 8;

/** What the stream said of a room in one turn of the follower. */
export interface RoomTurn {
  /** Those in which state changed. */
  readonly stateBatches: readonly number[];
  readonly isHistory: boolean;
}

/** Member events by room and user; undefined: there is none. */
type MemberEvents = ReadonlyMap<RoomNid, ReadonlyMap<UserId, StateEvent | undefined>>;

/** Of rooms that are to be read. */
interface Wanted {
  readonly events: ReadonlyMap<RoomNid, number>;
  readonly members: ReadonlyMap<RoomNid, readonly UserId[]>;
}

/** A read under way. */
interface Load {
  /** The stream said something of the room since. */
  isOvertaken: boolean;
}

/**
 * Rooms whose end and state are in memory, within a budget in bytes. Never required: what is not here is read.
 *
 * A load runs while the stream goes on. It sees at least what was stored when it began, so that it serves its own answer;
 * but a change that is prepared meanwhile would be missing from it, so a load that was overtaken is not kept. A load that
 * begins after a change was prepared sees it, and is marked as read at that change's position:
 *
 *     load(room)  ── SELECT … ───────────────► keep? no: overtaken
 *     prepare(room)        ── SELECT … ──────────────► apply
 *     load(room)               ── SELECT … ────────────────────► keep
 */
export class HotRooms {
  readonly #db: Queryable;
  readonly #rooms: ByteCache<RoomNid, HotRoom>;
  readonly #loading = new Map<RoomNid, Set<Load>>();
  /** Reads of whole rooms under way. */
  readonly #reading = new Map<RoomNid, Promise<unknown>>();
  /** What is read from now on holds every fact at or below it. */
  #preparedTo: StreamPosition = BEFORE_ALL;

  constructor(db: Queryable, maxBytes: number) {
    this.#db = db;
    this.#rooms = new ByteCache({ maxBytes });
  }

  /** Drops everything; what is needed is read again. */
  clear(): void {
    this.#rooms.clear();
    for (const loads of this.#loading.values()) for (const load of loads) load.isOvertaken = true;
  }

  /**
   * The rooms with at least so many events each, where so many are stored and fit in memory. All that was published up to
   * `position` is in them. Of a room that has to be read, `members` are read as well.
   */
  async get(
    wanted: ReadonlyMap<RoomNid, number>,
    position: StreamPosition,
    members: Wanted["members"] = new Map(),
  ): Promise<ReadonlyMap<RoomNid, HotRoom>> {
    const found = new Map<RoomNid, HotRoom>();
    const others = [...this.#find(wanted, found).keys()].flatMap((room) => this.#reading.get(room) ?? []);
    // Many ask for one room at the same time, after a start above all: what one reads serves the others.
    if (others.length > 0) await Promise.allSettled(new Set(others));
    const events = this.#find(wanted, found);
    if (events.size > 0)
      for (const [room, hot] of await this.#load({ events, members }, position)) found.set(room, hot);
    return found;
  }

  /** Puts what is in memory into `found`. Returns what is not, with how many events are to be read of each. */
  #find(wanted: ReadonlyMap<RoomNid, number>, found: Map<RoomNid, HotRoom>): ReadonlyMap<RoomNid, number> {
    const missing = new Map<RoomNid, number>();
    for (const [room, events] of wanted) {
      const hot = this.#rooms.get(room);
      if (hot?.holds(Math.min(events, MAX_TAIL_EVENTS))) found.set(room, hot);
      else missing.set(room, Math.min(Math.max(events, MIN_TAIL_EVENTS), MAX_TAIL_EVENTS));
    }
    return missing;
  }

  /** Member events of users, known or read, of many rooms at once. */
  async members(wanted: ReadonlyMap<HotRoom, readonly UserId[]>): Promise<MemberEvents> {
    const found = new Map<RoomNid, Map<UserId, StateEvent | undefined>>();
    const missing: { hot: HotRoom; room: RoomNid; userId: UserId }[] = [];
    for (const [hot, users] of wanted) {
      const known = new Map<UserId, StateEvent | undefined>();
      found.set(hot.room, known);
      for (const userId of users) {
        const member = hot.member(userId);
        if (member === "unknown") missing.push({ hot, room: hot.room, userId });
        else known.set(userId, member);
      }
    }
    if (missing.length === 0) return found;
    const loads = this.#begin(missing.map(({ room }) => room));
    const rows = await this.#during(loads, () => selectMembers(this.#db, missing));
    const events = new Map(rows.map((row) => [`${row.room}/${row.state_key}`, toStateEvent(row)]));
    for (const { hot, room, userId } of missing) {
      const event = events.get(`${room}/${userId}`);
      found.get(room)?.set(userId, event);
      // A change that was applied meanwhile was not applied to a member that was unknown.
      if (loads.get(room)?.isOvertaken === false) hot.learnMember(userId, event);
    }
    for (const room of loads.keys()) this.#rooms.reweigh(room);
    return found;
  }

  /**
   * Reads what the stream said up to `position`; `changes` holds every room that changed. The result takes it in, in one
   * step, once the position of this process moves there.
   */
  async prepare(changes: ReadonlyMap<RoomNid, RoomTurn>, position: StreamPosition): Promise<() => void> {
    this.#preparedTo = position;
    const hot: HotRoom[] = [];
    const rewritten: RoomNid[] = [];
    for (const [room, { isHistory }] of changes) {
      for (const load of this.#loading.get(room) ?? []) load.isOvertaken = true;
      const known = this.#rooms.peek(room);
      if (isHistory) rewritten.push(room);
      else if (known !== undefined) hot.push(known);
    }
    const news = await readNews(this.#db, hot, changes);
    return () => {
      for (const room of rewritten) this.#dropReadBefore(room, position);
      for (const room of hot) this.#applyNews(room, news.get(room.room), position);
    };
  }

  #applyNews(room: HotRoom, news: HotRoomNews | undefined, position: StreamPosition): void {
    if (news === undefined || news.appended.length >= MAX_TAIL_EVENTS) {
      // As many as were asked for: what stands before them may be missing.
      this.#dropReadBefore(room.room, position);
      return;
    }
    room.apply(news, position);
    if (this.#rooms.peek(room.room) === room) this.#rooms.reweigh(room.room);
  }

  /** A room that was read after the change was prepared has it. */
  #dropReadBefore(room: RoomNid, position: StreamPosition): void {
    const known = this.#rooms.peek(room);
    if (known !== undefined && known.readAt < position) this.#rooms.delete(room);
  }

  async #load(wanted: Wanted, position: StreamPosition): Promise<ReadonlyMap<RoomNid, HotRoom>> {
    const rooms = [...wanted.events.keys()];
    const reading = this.#read(wanted, position > this.#preparedTo ? position : this.#preparedTo);
    for (const room of rooms) this.#reading.set(room, reading);
    try {
      return await reading;
    } finally {
      for (const room of rooms) if (this.#reading.get(room) === reading) this.#reading.delete(room);
    }
  }

  async #read(wanted: Wanted, readAt: StreamPosition): Promise<ReadonlyMap<RoomNid, HotRoom>> {
    const loads = this.#begin([...wanted.events.keys()]);
    const loaded = await this.#during(loads, () => loadHotRooms(this.#db, wanted, readAt));
    for (const [room, load] of loads) {
      const hot = loaded.get(room);
      if (!load.isOvertaken && hot !== undefined) this.#rooms.set(room, hot);
    }
    return loaded;
  }

  #begin(rooms: readonly RoomNid[]): ReadonlyMap<RoomNid, Load> {
    const loads = new Map<RoomNid, Load>(rooms.map((room) => [room, { isOvertaken: false }]));
    for (const [room, load] of loads) this.#loading.set(room, (this.#loading.get(room) ?? new Set()).add(load));
    return loads;
  }

  async #during<T>(loads: ReadonlyMap<RoomNid, Load>, read: () => Promise<T>): Promise<T> {
    try {
      return await read();
    } finally {
      for (const [room, load] of loads) {
        const running = this.#loading.get(room);
        running?.delete(load);
        if (running?.size === 0) this.#loading.delete(room);
      }
    }
  }
}

/**
 * With the members whom the end of each room names: nearly everybody wants them with the timeline. Those of whom no member event
 * was found stay unknown, unless they were asked for: the end may be a newer one than that whose members were looked for.
 */
async function loadHotRooms(
  db: Queryable,
  { events, members }: Wanted,
  readAt: StreamPosition,
): Promise<ReadonlyMap<RoomNid, HotRoom>> {
  const tailsWanted = [...events].map(([room, count]) => ({ room, count }));
  const asked = tailsWanted.flatMap(({ room }) => (members.get(room) ?? []).map((userId) => ({ room, userId })));
  const [tails, state, named] = await Promise.all([
    selectNewest(db, tailsWanted),
    selectState(db, [...events.keys()]),
    selectNamedMembers(db, tailsWanted, asked),
  ]);
  const tailsByRoom = Map.groupBy(tails, (row) => row.room as RoomNid);
  const stateByRoom = Map.groupBy(state, (row) => row.room as RoomNid);
  const membersByRoom = Map.groupBy(named, (row) => row.room as RoomNid);
  return new Map(
    [...events].map(([room, count]) => {
      const rows = tailsByRoom.get(room) ?? [];
      const hot = new HotRoom({
        room,
        tail: rows.map(toReadEvent).sort((a, b) => a.orderKey - b.orderKey),
        isWhole: rows.length < count,
        chunks: chunksOf(rows),
        state: (stateByRoom.get(room) ?? []).map(toStateEvent),
        members: new Map([
          ...(members.get(room) ?? []).map((userId) => [userId, undefined] as const),
          ...(membersByRoom.get(room) ?? []).map((row) => [row.state_key as UserId, toStateEvent(row)] as const),
        ]),
        readAt,
      });
      return [room, hot];
    }),
  );
}

async function readNews(
  db: Queryable,
  hot: readonly HotRoom[],
  changes: ReadonlyMap<RoomNid, RoomTurn>,
): Promise<ReadonlyMap<RoomNid, HotRoomNews>> {
  const ends = hot.map(({ room, lastOrderKey }) => ({ room, after: lastOrderKey }));
  const batches = hot.flatMap(({ room }) => changes.get(room)?.stateBatches ?? []);
  const [appended, state] = await Promise.all([
    selectAppended(db, ends, MAX_TAIL_EVENTS),
    selectBatchState(db, batches),
  ]);
  const appendedByRoom = Map.groupBy(appended, (row) => row.room as RoomNid);
  const stateByRoom = Map.groupBy(state, (row) => row.room as RoomNid);
  return new Map(
    hot.map(({ room }) => {
      const rows = appendedByRoom.get(room) ?? [];
      const events = (stateByRoom.get(room) ?? []).map(toStateEvent);
      return [room, { appended: rows.map(toReadEvent), chunks: chunksOf(rows), state: events }];
    }),
  );
}
