import type { ChunkNid, EventNid, RoomNid, UserId } from "./ids.ts";
import type { Chunk, StateEvent, TimelineEvent } from "./stored-event.ts";
import type { StreamPosition } from "./stream-position.ts";

/** Selects state events. A missing part matches anything. Sentinels of a dialect (`$ME`) are resolved by its codec. */
export interface StateSelector {
  readonly type: string | undefined;
  readonly stateKey: string | undefined;
}

/** What must be read of one room. */
export interface RoomReads {
  readonly room: RoomNid;
  /** The newest so many events at or below `to`; 0: none. */
  readonly timelineEvents: number;
  /** Of these, events at or below it are not shown; undefined: all may be. */
  readonly toldUpTo: StreamPosition | undefined;
  /** Timeline and state are those that are kept for the reader, who left long ago. */
  readonly isRecalled?: boolean;
  /** Events above this order key stay out (the reader's departure). */
  readonly upToOrderKey: number | undefined;
  /**
   * Current state that any of these selects. A selector without a type need not bring members: where they are wanted,
   * another selector names `m.room.member`.
   */
  readonly state: readonly StateSelector[];
  /** State as of the reader's departure, at `upToOrderKey`; undefined: not wanted. */
  readonly stateAtDeparture?: StateAtDeparture | undefined;
  /** Member events of these users. */
  readonly members: readonly UserId[];
  /** State changes in `(changedAfter, to]`; undefined: not wanted. */
  readonly changedAfter: StreamPosition | undefined;
  /** The reader's own member event; after a departure, the one of the departure, made up where there is none. */
  readonly ownMember: boolean;
  /** The room's heroes. */
  readonly heroes: boolean;
}

/** What is wanted of a room as it was when the reader departed. */
export interface StateAtDeparture {
  readonly selectors: readonly StateSelector[];
  /** What was known by then was there before the departure; of what came later without a place in the timeline that is not known. */
  readonly knownAt: StreamPosition;
}

/** A timeline event with what is needed to say where a client can go on reading backwards. */
export interface ReadEvent extends TimelineEvent {
  /** `/messages?dir=b&from=` this returns what stands before the event. */
  readonly tokenBefore: string | undefined;
  /** A token at or after the event: `next_batch` of the response that brought it. */
  readonly tokenAfter: string | undefined;
}

/** A state key that has no value any more. */
export interface RemovedState {
  readonly type: string;
  readonly stateKey: string;
}

export interface RoomData {
  /** By order key, oldest first; the newest `timelineEvents` within the bounds. */
  readonly timeline: readonly ReadEvent[];
  /** Every chunk that occurs in `timeline`. */
  readonly chunks: ReadonlyMap<ChunkNid, Chunk>;
  /** Current, or as of the reader's departure. */
  readonly state: readonly StateEvent[];
  readonly members: ReadonlyMap<UserId, StateEvent>;
  /** The last value of each state key that changed in `(changedAfter, to]`. */
  readonly changed: readonly StateEvent[];
  /** State keys that lost their value in `(changedAfter, to]` and have none as of `to`. */
  readonly removed?: readonly RemovedState[];
  readonly ownMember: StateEvent | undefined;
  /** At most 5 user ids, never the reader, as the homeserver gave them; undefined: not read. */
  readonly heroes: readonly UserId[] | undefined;
  /** `unsigned.transaction_id` of events in `timeline` that this device sent. */
  readonly transactionIds: ReadonlyMap<EventNid, string>;
  /**
   * Of the events in `timeline` that the reader sent, those of which it is known that this device did, or another one, or that
   * this device's stream brought them without a transaction id.
   */
  readonly attributed: ReadonlySet<EventNid>;
}
