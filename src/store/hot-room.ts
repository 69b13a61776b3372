import type { ChunkNid, RoomNid, UserId } from "../model/ids.ts";
import type { ReadEvent, StateSelector } from "../model/room-reads.ts";
import type { Chunk, StateEvent } from "../model/stored-event.ts";
import type { StreamPosition } from "../model/stream-position.ts";

/** What one event weighs in memory beside its bytes: objects, ids, map entries. An estimate that errs upwards. */
const EVENT_OVERHEAD_BYTES = 600;
const ROOM_OVERHEAD_BYTES = 2_000;
/** A user of whom it is known that there is no member event. */
const NO_MEMBER_BYTES = 100;

/** State changes that a hot room remembers; older ones are read from the log. */
const MAX_DELTAS = 200;
/** Events at the end of a hot room; when more came, the oldest are forgotten. */
export const MAX_TAIL_EVENTS = 200;

/** A room as read at one moment. */
interface HotRoomRows {
  readonly room: RoomNid;
  /** By order key, oldest first. */
  readonly tail: readonly ReadEvent[];
  /** The tail begins with the oldest stored event. */
  readonly isWhole: boolean;
  readonly chunks: ReadonlyMap<ChunkNid, Chunk>;
  /** All current state but members. */
  readonly state: readonly StateEvent[];
  /** Member events, of some users. */
  readonly members: ReadonlyMap<UserId, StateEvent | undefined>;
  /** Every fact at or below it is in what was read; facts above it may be. */
  readonly readAt: StreamPosition;
}

/** Facts of a hot room up to a position. Repeatable: what is known already changes nothing. */
export interface HotRoomNews {
  /** Events after the tail's last, by order key. */
  readonly appended: readonly ReadEvent[];
  readonly chunks: ReadonlyMap<ChunkNid, Chunk>;
  /** New values of state keys, in order, members included. */
  readonly state: readonly StateEvent[];
}

/**
 * The end of a room's timeline and its current state, in memory. A read model: made from rows, {@link apply} takes some
 * batches of facts. Members are known one by one, as they were asked for.
 */
export class HotRoom {
  readonly room: RoomNid;
  /** What was published later came with {@link apply}. */
  readonly readAt: StreamPosition;
  #tail: ReadEvent[];
  #isWhole: boolean;
  #chunks: Map<ChunkNid, Chunk>;
  readonly #state = new Map<string, Map<string, StateEvent>>();
  readonly #members = new Map<UserId, StateEvent | undefined>();
  /** Values that state keys took in `(#deltasAfter, #appliedTo]`, in order. */
  readonly #deltas: StateEvent[] = [];
  #deltasAfter: StreamPosition;
  #appliedTo: StreamPosition;
  #bytes = ROOM_OVERHEAD_BYTES;

  constructor(rows: HotRoomRows) {
    this.room = rows.room;
    this.readAt = rows.readAt;
    this.#tail = [...rows.tail];
    this.#isWhole = rows.isWhole;
    this.#chunks = new Map(rows.chunks);
    this.#deltasAfter = rows.readAt;
    this.#appliedTo = rows.readAt;
    for (const event of rows.tail) this.#bytes += bytesOf(event);
    for (const event of rows.state) this.#setState(event);
    for (const [userId, event] of rows.members) this.learnMember(userId, event);
  }

  /** Estimated memory. */
  get bytes(): number {
    return this.#bytes;
  }

  get lastOrderKey(): number {
    return this.#tail.at(-1)?.orderKey ?? Number.MIN_SAFE_INTEGER;
  }

  get chunks(): ReadonlyMap<ChunkNid, Chunk> {
    return this.#chunks;
  }

  apply(news: HotRoomNews, upTo: StreamPosition): void {
    for (const [chunk, facts] of news.chunks) this.#chunks.set(chunk, facts);
    for (const event of news.appended) {
      if (event.orderKey <= this.lastOrderKey) continue;
      this.#tail.push(event);
      this.#bytes += bytesOf(event);
    }
    for (const event of news.state) {
      if (event.position > this.#appliedTo) this.#applyState(event);
    }
    if (upTo > this.#appliedTo) this.#appliedTo = upTo;
    this.#forgetOld();
  }

  /** Whether the newest `count` events are here, whatever their positions. */
  holds(count: number): boolean {
    return this.#isWhole || this.#tail.length >= count;
  }

  /**
   * The newest `count` events at or below `to` and the order key, oldest first; undefined: more of them are stored than
   * are in memory.
   */
  newest(count: number, to: StreamPosition, upToOrderKey: number | undefined): readonly ReadEvent[] | undefined {
    const events: ReadEvent[] = [];
    for (let index = this.#tail.length - 1; index >= 0 && events.length < count; index -= 1) {
      const event = this.#tail[index];
      if (event === undefined || event.position > to) continue;
      if (upToOrderKey !== undefined && event.orderKey > upToOrderKey) continue;
      events.push(event);
    }
    return events.length === count || this.#isWhole ? events.reverse() : undefined;
  }

  /** Current state that any of the selectors names; no members. */
  select(selectors: readonly StateSelector[]): readonly StateEvent[] {
    const found = new Set<StateEvent>();
    for (const { type, stateKey } of selectors) {
      const byKey = type === undefined ? [...this.#state.values()] : [this.#state.get(type) ?? NO_EVENTS];
      for (const events of byKey) {
        if (stateKey === undefined) for (const event of events.values()) found.add(event);
        else addDefined(found, events.get(stateKey));
      }
    }
    return [...found];
  }

  /** `"unknown"`: not asked for yet. undefined: there is none. */
  member(userId: UserId): StateEvent | undefined | "unknown" {
    return this.#members.has(userId) ? this.#members.get(userId) : "unknown";
  }

  learnMember(userId: UserId, event: StateEvent | undefined): void {
    if (this.#members.has(userId)) this.#bytes -= memberBytes(this.#members.get(userId));
    this.#bytes += memberBytes(event);
    this.#members.set(userId, event);
  }

  /** Values that state keys took in `(after, to]`, in order; undefined: that goes further back than memory. */
  changedIn(after: StreamPosition, to: StreamPosition): readonly StateEvent[] | undefined {
    if (after < this.#deltasAfter) return undefined;
    return this.#deltas.filter(({ position }) => position > after && position <= to);
  }

  #applyState(event: StateEvent): void {
    if (event.type !== "m.room.member") this.#setState(event);
    else if (this.#members.has(event.stateKey as UserId)) this.learnMember(event.stateKey as UserId, event);
    this.#deltas.push(event);
    this.#bytes += bytesOf(event);
  }

  #setState(event: StateEvent): void {
    const events = this.#state.get(event.type) ?? new Map<string, StateEvent>();
    const known = events.get(event.stateKey);
    this.#bytes += bytesOf(event) - (known ? bytesOf(known) : 0);
    this.#state.set(event.type, events.set(event.stateKey, event));
  }

  #forgetOld(): void {
    if (this.#tail.length > MAX_TAIL_EVENTS) {
      const forgotten = this.#tail.splice(0, this.#tail.length - MAX_TAIL_EVENTS);
      for (const event of forgotten) this.#bytes -= bytesOf(event);
      this.#isWhole = false;
      const left = new Set(this.#tail.map(({ chunk }) => chunk));
      this.#chunks = new Map([...this.#chunks].filter(([chunk]) => left.has(chunk)));
    }
    if (this.#deltas.length > MAX_DELTAS) {
      const forgotten = this.#deltas.splice(0, this.#deltas.length - MAX_DELTAS);
      for (const event of forgotten) this.#bytes -= bytesOf(event);
      this.#deltasAfter = forgotten.at(-1)?.position ?? this.#deltasAfter;
    }
  }
}

const NO_EVENTS: ReadonlyMap<string, StateEvent> = new Map();

const bytesOf = (event: StateEvent | ReadEvent): number =>
  event.body.length + (event.unsigned?.length ?? 0) + EVENT_OVERHEAD_BYTES;

const memberBytes = (event: StateEvent | undefined): number => (event === undefined ? NO_MEMBER_BYTES : bytesOf(event));

function addDefined(set: Set<StateEvent>, event: StateEvent | undefined): void {
  if (event !== undefined) set.add(event);
}
