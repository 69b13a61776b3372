import { LRUCache } from "lru-cache";
import type { ChunkNid, RoomNid, UserId } from "../model/ids.ts";
import type { Chunk } from "../model/stored-event.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { toReadEvent, toStateEvent } from "./event-rows.ts";
import { HotRoom, type HotRoomNews } from "./hot-room.ts";
import {
  selectAppended,
  selectBatchState,
  selectChunks,
  selectMembers,
  selectState,
  selectTails,
} from "./room-selects.ts";

/** Events read of a room that becomes hot, at least: a window's timeline of 20 and what came meanwhile. */
const TAIL_EVENTS = 32;

/** What the stream said of a room in one turn of the follower. */
export interface RoomTurn {
  readonly batches: readonly number[];
  readonly isHistory: boolean;
}

/**
 * Rooms whose end and state are in memory, within a budget in bytes. Never required: what is not here is read.
 *
 * A load runs while the stream goes on. It sees at least what was stored when it began, so that it serves its own answer;
 * but a change that is applied meanwhile would be missing from it, so a load that was overtaken is not kept:
 *
 *     load(room)  ── SELECT … ───────────────────► keep? no: overtaken
 *     apply(room)            ── changes applied ──►
 */
export class HotRooms {
  readonly #db: Queryable;
  readonly #rooms: LRUCache<RoomNid, HotRoom>;
  /** Loads under way, by room; `overtaken` when the stream said something of the room since. */
  readonly #loading = new Map<RoomNid, Set<{ overtaken: boolean }>>();

  constructor(db: Queryable, budgetBytes: number) {
    this.#db = db;
    this.#rooms = new LRUCache<RoomNid, HotRoom>({
      maxSize: budgetBytes,
      sizeCalculation: (room) => room.bytes,
    });
  }

  get size(): number {
    return this.#rooms.size;
  }

  /** Drops everything; what is needed is read again. */
  clear(): void {
    this.#rooms.clear();
    for (const loads of this.#loading.values()) for (const load of loads) load.overtaken = true;
  }

  /** The rooms with at least `events` events each where so many are stored. */
  async get(wanted: ReadonlyMap<RoomNid, number>, position: StreamPosition): Promise<ReadonlyMap<RoomNid, HotRoom>> {
    const found = new Map<RoomNid, HotRoom>();
    const missing = new Map<RoomNid, number>();
    for (const [room, events] of wanted) {
      const hot = this.#rooms.get(room);
      if (hot !== undefined) found.set(room, hot);
      else missing.set(room, Math.max(events, TAIL_EVENTS));
    }
    if (missing.size > 0) for (const [room, hot] of await this.#load(missing, position)) found.set(room, hot);
    return found;
  }

  /** Reads member events that a hot room does not know yet, of many rooms at once. */
  async learnMembers(wanted: ReadonlyMap<HotRoom, readonly UserId[]>): Promise<void> {
    const unknown = [...wanted].flatMap(([hot, users]) =>
      users.filter((userId) => hot.member(userId) === "unknown").map((userId) => ({ hot, room: hot.room, userId })),
    );
    if (unknown.length === 0) return;
    const marks = this.#begin(new Set(unknown.map(({ room }) => room)));
    const rows = await selectMembers(this.#db, unknown);
    const events = new Map(rows.map((row) => [`${row.room}/${row.state_key}`, toStateEvent(row)]));
    // A member event that changed meanwhile was not applied to a member that was unknown: then the room is read anew.
    for (const [room, mark] of marks) if (this.#end(room, mark)) this.#rooms.delete(room);
    for (const { hot, room, userId } of unknown) hot.learnMember(userId, events.get(`${room}/${userId}`));
  }

  /** Takes in what the stream said. `changes` holds every room that changed. */
  async apply(changes: ReadonlyMap<RoomNid, RoomTurn>): Promise<void> {
    const hot: HotRoom[] = [];
    for (const [room, { isHistory }] of changes) {
      for (const load of this.#loading.get(room) ?? []) load.overtaken = true;
      const known = this.#rooms.peek(room);
      if (known !== undefined && isHistory) this.#rooms.delete(room);
      else if (known !== undefined) hot.push(known);
    }
    if (hot.length === 0) return;
    const news = await readNews(this.#db, hot, changes);
    for (const room of hot) {
      room.apply(news.get(room.room) ?? NO_NEWS);
      // Set again, so that the budget sees what it weighs now.
      if (this.#rooms.peek(room.room) === room) this.#rooms.set(room.room, room);
    }
  }

  async #load(missing: ReadonlyMap<RoomNid, number>, position: StreamPosition): Promise<ReadonlyMap<RoomNid, HotRoom>> {
    const marks = this.#begin(new Set(missing.keys()));
    const loaded = await loadHotRooms(this.#db, missing, position);
    for (const [room, mark] of marks) {
      const hot = loaded.get(room);
      if (!this.#end(room, mark) && hot !== undefined) this.#rooms.set(room, hot);
    }
    return loaded;
  }

  #begin(rooms: ReadonlySet<RoomNid>): ReadonlyMap<RoomNid, { overtaken: boolean }> {
    const marks = new Map<RoomNid, { overtaken: boolean }>();
    for (const room of rooms) {
      const mark = { overtaken: false };
      const loads = this.#loading.get(room) ?? new Set();
      this.#loading.set(room, loads.add(mark));
      marks.set(room, mark);
    }
    return marks;
  }

  /** Whether the load was overtaken. */
  #end(room: RoomNid, mark: { overtaken: boolean }): boolean {
    const loads = this.#loading.get(room);
    loads?.delete(mark);
    if (loads?.size === 0) this.#loading.delete(room);
    return mark.overtaken;
  }
}

const NO_NEWS: HotRoomNews = { appended: [], chunks: new Map(), state: [] };

/** Reads rooms whole, as they are at `position` or later. */
export async function loadHotRooms(
  db: Queryable,
  wanted: ReadonlyMap<RoomNid, number>,
  position: StreamPosition,
): Promise<ReadonlyMap<RoomNid, HotRoom>> {
  const rooms = [...wanted.keys()];
  const [tails, state] = await Promise.all([
    selectTails(
      db,
      [...wanted].map(([room, count]) => ({ room, count })),
      undefined,
    ),
    selectState(db, rooms),
  ]);
  const chunks = await selectChunks(db, [...new Set(tails.map(({ chunk }) => chunk))]);
  const tailsByRoom = Map.groupBy(tails, (row) => row.room as RoomNid);
  const stateByRoom = Map.groupBy(state, (row) => row.room as RoomNid);
  return new Map(
    [...wanted].map(([room, count]) => {
      const tail = (tailsByRoom.get(room) ?? []).map(toReadEvent).sort((a, b) => a.orderKey - b.orderKey);
      const own = new Set(tail.map(({ chunk }) => chunk));
      const hot = new HotRoom({
        room,
        tail,
        isWhole: tail.length < count,
        chunks: new Map([...chunks].filter(([chunk]) => own.has(chunk))),
        state: (stateByRoom.get(room) ?? []).map(toStateEvent),
        readAt: position,
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
  const batches = hot.flatMap(({ room }) => changes.get(room)?.batches ?? []);
  const [appended, state] = await Promise.all([
    selectAppended(
      db,
      hot.map(({ room, lastOrderKey }) => ({ room, after: lastOrderKey })),
    ),
    selectBatchState(db, batches),
  ]);
  const chunks: ReadonlyMap<ChunkNid, Chunk> = await selectChunks(db, [...new Set(appended.map(({ chunk }) => chunk))]);
  const appendedByRoom = Map.groupBy(appended, (row) => row.room as RoomNid);
  const stateByRoom = Map.groupBy(state, (row) => row.room as RoomNid);
  return new Map(
    hot.map(({ room }) => {
      const events = (appendedByRoom.get(room) ?? []).map(toReadEvent);
      const own = new Set(events.map(({ chunk }) => chunk));
      return [
        room,
        {
          appended: events,
          chunks: new Map([...chunks].filter(([chunk]) => own.has(chunk))),
          state: (stateByRoom.get(room) ?? []).map(toStateEvent).sort((a, b) => a.position - b.position),
        },
      ];
    }),
  );
}
