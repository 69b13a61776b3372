import type { ChunkNid, EventId, EventNid, UserId } from "./ids.ts";
import type { StreamPosition } from "./stream-position.ts";
import type { Visibility } from "./visibility.ts";

/** An event as the store holds it. Immutable and shared between readers. */
export interface StoredEvent {
  readonly nid: EventNid;
  readonly eventId: EventId;
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly sender: UserId;
  readonly originServerTsMs: number;
  /** When Slidecar learnt it. */
  readonly position: StreamPosition;
  /** The event in client format as a JSON object, without `unsigned` and `room_id`. */
  readonly body: Buffer;
  /** A JSON object with the members of `unsigned` that are the same for every reader. */
  readonly unsigned: Buffer | undefined;
}

/** A stored event that stands in a timeline. */
export interface TimelineEvent extends StoredEvent {
  /** Where it stands in its room; grows towards newer events. */
  readonly orderKey: number;
  readonly chunk: ChunkNid;
  /** In force at the event. */
  readonly visibility: Visibility;
}

/** A state event: `stateKey` is there. */
export interface StateEvent extends StoredEvent {
  readonly stateKey: string;
}

/** A run of events in which nothing is missing for those it is attested for. */
export interface Chunk {
  /** undefined: attested for everybody. */
  readonly attestedFor: number | undefined;
  /** Nothing is missing between this chunk and the one before it, for the same readers. */
  readonly continues: boolean;
  /** Begins with `m.room.create`: there is nothing before it. */
  readonly isStart: boolean;
}
