import { membershipOf, type Oddity, type StoredEvent, stateKeyOf } from "./event.ts";
import type { RoomKey } from "./tokens.ts";

/** A change of current state, linked to the one of the same key before it. Without an event the key was removed. */
export interface StateChange {
  readonly stream: number;
  readonly key: string;
  readonly event: StoredEvent | undefined;
  readonly before: StateChange | undefined;
}

export interface Receipt {
  readonly type: string;
  readonly userId: string;
  readonly eventId: string;
  readonly eventStream: number;
  readonly threadId: string | undefined;
  readonly ts: number;
  /** Position in the receipt stream. */
  readonly position: number;
}

export class Room {
  readonly id: string;
  readonly version: string;
  /** In the order of the stream. */
  readonly timeline: StoredEvent[] = [];
  /** Current-state changes in the order of the stream. */
  readonly changes: StateChange[] = [];
  /** Current member events, left members included. */
  readonly members = new Map<string, StoredEvent>();
  /** Stream positions after which this server missed events (a federation gap). */
  readonly gaps: number[] = [];
  readonly receipts = new Map<string, Receipt>();
  readonly typing = new Map<string, number>();
  /** 0 until somebody typed here since the start. */
  typingSerial = 0;
  depth = 0;
  /** The homeserver does not know the room's version any more: it has its users in the room and cannot read its events. */
  isOfUnknownVersion = false;
  #latest = new Map<string, StateChange>();
  #topological: StoredEvent[] | undefined;
  /** The stream position up to which late events know what happened. */
  readonly #known = new Map<StoredEvent, number>();

  constructor(id: string, version: string) {
    this.id = id;
    this.version = version;
  }

  /** 10 for the versions that are not a number. */
  get versionNumber(): number {
    return Number(/^\d+$/.test(this.version) ? this.version : 10);
  }

  /** As after a downgrade of the homeserver. */
  forgetVersion(): void {
    this.isOfUnknownVersion = true;
    this.timeline.length = 0;
    this.changes.length = 0;
    this.#latest.clear();
    this.#topological = undefined;
  }

  get lastStream(): number {
    return this.timeline.at(-1)?.stream ?? 0;
  }

  /** By depth, then stream. The same as {@link timeline} until an event comes late. */
  get topological(): readonly StoredEvent[] {
    return this.#topological ?? this.timeline;
  }

  append(event: StoredEvent): void {
    const isLate = event.depth <= this.depth && this.timeline.length > 0;
    if (isLate && this.#topological === undefined) this.#topological = [...this.timeline];
    if (isLate && event.stateKey === undefined) {
      const isBefore = (other: StoredEvent) => other.depth < event.depth && !this.#known.has(other);
      this.#known.set(event, this.timeline.findLast(isBefore)?.stream ?? 0);
    }
    this.timeline.push(event);
    if (this.#topological !== undefined) {
      const after = this.#topological.findLastIndex((other) => other.depth <= event.depth);
      this.#topological.splice(after + 1, 0, event);
    }
    this.depth = Math.max(this.depth, event.depth);
    if (event.stateKey !== undefined && !losesOut(event.oddity)) {
      this.changeState(stateKeyOf(event.type, event.stateKey), event, event.stream);
    }
  }

  changeState(key: string, event: StoredEvent | undefined, stream: number): void {
    const change = { stream, key, event, before: this.#latest.get(key) };
    this.#latest.set(key, change);
    this.changes.push(change);
    if (!key.startsWith("m.room.member\u0000")) return;
    const userId = key.slice("m.room.member\u0000".length);
    if (event === undefined) this.members.delete(userId);
    else this.members.set(userId, event);
  }

  state(type: string, stateKey = ""): StoredEvent | undefined {
    return this.#latest.get(stateKeyOf(type, stateKey))?.event;
  }

  stateAt(stream: number, type: string, stateKey = ""): StoredEvent | undefined {
    let change = this.#latest.get(stateKeyOf(type, stateKey));
    while (change !== undefined && change.stream > stream) change = change.before;
    return change?.event;
  }

  /** In force at an event: of one that came late, where it stands in the room's graph. */
  stateAtEvent(event: StoredEvent, type: string, stateKey = ""): StoredEvent | undefined {
    return this.stateAt(this.#known.get(event) ?? event.stream, type, stateKey);
  }

  fullStateAt(stream: number): Map<string, StoredEvent> {
    const state = new Map<string, StoredEvent>();
    for (const [key, latest] of this.#latest) {
      let change: StateChange | undefined = latest;
      while (change !== undefined && change.stream > stream) change = change.before;
      if (change?.event !== undefined) state.set(key, change.event);
    }
    return state;
  }

  membership(userId: string) {
    return membershipOf(this.members.get(userId));
  }

  joinedMembers(): string[] {
    return [...this.members].filter(([, event]) => membershipOf(event) === "join").map(([userId]) => userId);
  }

  /** Events with `after` < stream <= `upto`. */
  between(after: number, upto: number): StoredEvent[] {
    return this.timeline.slice(this.indexAfter(after), this.indexAfter(upto));
  }

  /** The place in {@link timeline} of the first event after a stream position. */
  indexAfter(stream: number): number {
    let low = 0;
    let high = this.timeline.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.timeline[middle]?.stream ?? 0) <= stream) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  lastEventAtOrBefore(stream: number): StoredEvent | undefined {
    return this.timeline[this.indexAfter(stream) - 1];
  }
}

function losesOut(oddity: Oddity | undefined): boolean {
  return oddity?.loses === true || oddity?.withheld === true;
}

/** Whether an event lies before a key, in the order that the key speaks of. */
export function isBefore(event: StoredEvent, key: RoomKey): boolean {
  if (key.depth === undefined || event.depth === key.depth) return event.stream <= key.stream;
  return event.depth < key.depth;
}
