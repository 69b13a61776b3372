import type { RoomId, RoomNid, UserId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { RoomConfig } from "../request.ts";
import type { RoomStream, StreamsTold, StreamUpTo } from "./streams.ts";

/** As what a room was sent. A change makes the next entry `initial`. */
export type SentAs = "stripped" | "joined" | "departed";

/** What a connection has been told about one room; not in the map: never. */
export interface Told {
  /** `"live"`: everything up to the stream position of `pos`. A position: up to it, then something was missed. */
  readonly upTo: "live" | StreamPosition;
  readonly as: SentAs;
  /** What the room was sent with: the largest timeline limit that still holds, and all state asked for. */
  readonly config: RoomConfig;
}

/** What a client has been told on one connection, at a confirmed position. */
export interface ConnectionState {
  readonly rooms: ReadonlyMap<RoomNid, Told>;
  readonly lazyMembers: ReadonlyMap<RoomNid, ReadonlySet<UserId>>;
  /** Subscriptions that go on (`subscriptionMode: "keep"`). */
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig>;
  /** What was told of rooms beside the rooms themselves; not in the map: never anything. */
  readonly streams: ReadonlyMap<RoomNid, StreamsTold>;
  /** How many rooms, of those that were told so that a stream is told of them, are not live in it. */
  readonly owing: Readonly<Record<RoomStream, number>>;
  /** What was told of account data that belongs to no room. */
  readonly accountData: StreamUpTo;
}

/** What an answer adds to what was told: exactly what is written. Empty maps and undefined: nothing. */
export interface ConnectionDelta {
  readonly rooms: ReadonlyMap<RoomNid, Told>;
  /** Members that this answer sent. */
  readonly sentMembers: ReadonlyMap<RoomNid, ReadonlySet<UserId>>;
  /** Members whose change was not sent: they are sent again when next needed. */
  readonly staleMembers: ReadonlyMap<RoomNid, ReadonlySet<UserId>>;
  /** The new subscriptions, whole, when they changed. */
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig> | undefined;
  /** All that holds of a room now, where it became another. */
  readonly streams: ReadonlyMap<RoomNid, StreamsTold>;
  /** undefined: as before. */
  readonly accountData: StreamUpTo;
}
