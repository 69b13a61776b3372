import type { ChunkNid, EventId, EventNid, RoomNid, UserId, UserNid } from "./ids.ts";
import type { Membership } from "./membership.ts";
import type { EventText, KnownRedaction, StoredText } from "./redaction.ts";
import type { RoomRow } from "./room-row.ts";
import type { StreamPosition } from "./stream-position.ts";
import type { Visibility } from "./visibility.ts";

/**
 * Distance between neighbours when events are appended, and the place of the first event that is ever stored of a room. Larger:
 * fewer events fit below 2^53. Smaller: fewer late events fit between two neighbours; with 2^24 it is at least 24, and 500 million
 * events fit in a room.
 */
export const ORDER_KEY_STEP = 2 ** 24;

/** Above the order keys of all events: what is only for those who were in the room is not shown. */
export const NO_PLACE_YET = Number.MAX_SAFE_INTEGER;

/** Below the order keys of all events: where a departure ends that is none from the room, so that nothing is shown for its end. */
export const NO_STAY = Number.MIN_SAFE_INTEGER;

/** An event beside another one in a room's timeline. */
export interface Neighbour {
  readonly orderKey: number;
  readonly chunk: ChunkNid;
  /** Nothing is missing between its chunk and the one before. */
  readonly continues: boolean;
}

/** Where an event that is already stored stands. */
export interface Landmark extends Neighbour {
  /** For whom its chunk is attested; undefined: everybody. */
  readonly attestedFor: UserNid | undefined;
  /** undefined: there is none on that side. */
  readonly previous: Neighbour | undefined;
  readonly next: Neighbour | undefined;
}

/** An event that is already stored. */
export interface KnownEvent {
  readonly nid: EventNid;
  /** undefined: known as state only. */
  readonly landmark: Landmark | undefined;
}

/** A stored own membership of a user whose devices use Slidecar. */
export interface MembershipRow {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly room: RoomNid;
  readonly membership: Membership;
  /** Position of the change to this membership; undefined: it is not stored yet. */
  readonly since: StreamPosition | undefined;
  /** Where that change stands in the timeline, see {@link MembershipChange}. */
  readonly sinceOrderKey: number | undefined;
  readonly nid: EventNid | undefined;
  readonly stripped: Buffer | undefined;
  readonly heroes: readonly string[];
  readonly notifications: number;
  readonly highlights: number;
}

/** The event that is current for a state key. */
export interface StateValue {
  /** undefined: the homeserver said that there is none any more. */
  readonly nid: EventNid | undefined;
  /** When it became current; undefined: that is not stored yet. */
  readonly position: StreamPosition | undefined;
}

/** What the end of a room's timeline says. */
export interface RoomEnd {
  /** For whom the last chunk is attested; undefined: everybody. */
  readonly attestedFor: UserNid | undefined;
  /** Nothing is missing between the last chunk and the one before. */
  readonly continues: boolean;
  /** Of the last event; the last chunk may be another, which has no event yet. undefined: there is none. */
  readonly chunk: ChunkNid | undefined;
  /** Of the last event, if that is a message: state is hidden from nobody who ignores its sender. */
  readonly sender: string | undefined;
  /** When the last event got its place; undefined: there is none. */
  readonly storedAt: StreamPosition | undefined;
  /** What orders the room in lists, and its bump stamp: positions, or times in microseconds. */
  readonly activity: number;
  readonly bump: number;
  /** A user whose devices use Slidecar is in the room, so that what happens there is told. */
  readonly isFollowed: boolean;
}

/** Everything stored that the sections of one room may touch, read under the room's lock. */
export interface RoomBefore {
  readonly row: RoomRow;
  readonly end: RoomEnd;
  readonly known: ReadonlyMap<EventId, KnownEvent>;
  /** Current state of the keys that the sections name, by {@link stateKeyOf}. */
  readonly state: ReadonlyMap<string, StateValue>;
  /** Memberships of the polled user and of other known users that the sections name. */
  readonly memberships: ReadonlyMap<UserId, MembershipRow>;
  /** Which of the events that the sections name are redacted, be they stored or not. */
  readonly redacted: ReadonlyMap<EventId, KnownRedaction>;
  /** Stored events that the sections' redactions may rewrite. */
  readonly texts: ReadonlyMap<EventId, StoredText>;
}

export const stateKeyOf = (type: string, stateKey: string): string => `${type}\0${stateKey}`;

/** A checked event, with its body freed of what is personal. */
export interface EventToStore {
  readonly eventId: EventId;
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly sender: UserId;
  readonly originServerTsMs: number;
  /** The event as a JSON object without `unsigned`, `room_id` and the like. */
  readonly body: Buffer;
  /** Members of `unsigned` that are the same for every reader, as a JSON object. */
  readonly unsigned: Buffer | undefined;
  /** The state event before it, whose content `unsigned` repeats. */
  readonly previous: EventId | undefined;
}

/** An event to be stored. */
export interface NewEvent {
  readonly nid: EventNid;
  readonly event: EventToStore;
  readonly orderKey: number | undefined;
  readonly chunk: ChunkNid | undefined;
  readonly visibility: Visibility;
  readonly batch: number;
}

/** An event that was known as state only and now stands in the timeline. */
export interface PlacedEvent {
  readonly nid: EventNid;
  readonly orderKey: number;
  readonly chunk: ChunkNid;
  readonly visibility: Visibility;
  readonly batch: number;
}

export interface NewChunk {
  readonly chunk: ChunkNid;
  readonly attestedFor: UserNid | undefined;
  readonly continues: boolean;
  readonly isStart: boolean;
}

/** Events of a chunk above an order key go into another one, which is new, and attests for the same. */
export interface ChunkSplit {
  readonly from: ChunkNid;
  readonly into: ChunkNid;
  readonly above: number;
  readonly attestedFor: UserNid | undefined;
}

export interface StateChange {
  readonly type: string;
  readonly stateKey: string;
  /** undefined: the key has no value any more. */
  readonly nid: EventNid | undefined;
  readonly previous: EventNid | undefined;
  readonly batch: number;
  /** Whether it belongs to the room's baseline, which is no change of anything told before. */
  readonly isBaseline: boolean;
}

/** A new own membership, or a new value for one. */
export interface MembershipChange {
  readonly userNid: UserNid;
  readonly membership: Membership;
  readonly sender: string;
  readonly nid: EventNid | undefined;
  readonly batch: number;
  /** The membership was another before. */
  readonly isTransition: boolean;
  /**
   * Where the change from another membership stands in the timeline. {@link NO_PLACE_YET}: of an arrival, that is not known.
   * undefined: of an arrival, before the first event that was ever stored of the room; of a departure, that is not known; without
   * a transition, what is stored stays. {@link NO_STAY}: the end of an invite or knock.
   */
  readonly sinceOrderKey: number | undefined;
  readonly stripped: Buffer | undefined;
  /**
   * When the change happened, in microseconds, where it was learnt later and stands in lists where it would have stood. undefined: it
   * counts as new.
   */
  readonly sinceUs: number | undefined;
}

/** A room as its user left it: what the homeserver showed them when it was asked. */
export interface RecalledDeparture {
  readonly userNid: UserNid;
  /** The member event of the departure. */
  readonly nid: EventNid;
  /** Oldest first, up to the departure. */
  readonly timeline: readonly EventNid[];
  readonly state: readonly EventNid[];
  readonly tokenBefore: string | undefined;
  readonly tokenAfter: string | undefined;
}

/** Per-user facts of a room that come with the user's own stream. */
export interface PersonalChange {
  readonly userNid: UserNid;
  readonly heroes: readonly string[] | undefined;
  readonly counts: { readonly notifications: number; readonly highlights: number } | undefined;
  readonly batch: number;
}

/** What decides a room's order: a batch (its position counts), or a time in microseconds. */
export interface OrderMark {
  readonly batch: number | undefined;
  readonly us: number;
}

/** What sections of one room write. */
export interface RoomWrites {
  readonly room: RoomNid;
  readonly events: NewEvent[];
  readonly placed: PlacedEvent[];
  /** Events that go into another chunk, where they stand. */
  readonly moved: { readonly nid: EventNid; readonly chunk: ChunkNid }[];
  readonly splits: ChunkSplit[];
  /** Chunks that have no event any more. */
  readonly emptied: ChunkNid[];
  readonly chunks: NewChunk[];
  /** Chunks of which it turned out that nothing is missing before them. */
  readonly joined: ChunkNid[];
  /** Chunks that turned out to begin with the room's creation. */
  readonly started: ChunkNid[];
  readonly tokens: { readonly orderKey: number; readonly token: string }[];
  readonly state: StateChange[];
  readonly memberships: MembershipChange[];
  readonly recalled: RecalledDeparture[];
  readonly personal: PersonalChange[];
  /** New redacted events, with the redaction's id. */
  readonly redactions: { readonly eventId: EventId; readonly redaction: EventId | "" }[];
  /** Stored events that take another form. */
  readonly rewritten: Map<EventNid, Pick<EventText, "body" | "unsigned">>;
  /** Stored events that are current state and were redacted: readers are told of them again. */
  readonly redactedState: (Pick<StateChange, "type" | "stateKey" | "batch"> & { readonly nid: EventNid })[];
  /** undefined id: the device's stream brought the event, which its user has just sent, without one. */
  readonly transactionIds: {
    readonly nid: EventNid;
    readonly deviceNid: number;
    readonly transactionId: string | undefined;
  }[];
}
