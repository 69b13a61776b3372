import type { RoomId } from "../model/ids.ts";
import type { StateSelector } from "../model/room-reads.ts";

/** Which current state a room is sent with. */
export interface RequiredState {
  /** The union of what each selects. With `lazyMembers`, a selector without a type does not select members. */
  readonly selectors: readonly StateSelector[];
  /** The member events that the returned timeline needs: senders, and targets of member events. */
  readonly lazyMembers: boolean;
}

/** How a room is sent. */
export interface RoomConfig {
  /** Timeline events at most; 0: no timeline. */
  readonly timelineLimit: number;
  readonly requiredState: RequiredState;
}

/** First and last index, both inside. `last < first` is an empty range. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/** AND between filters; an undefined one does not filter (MSC4186 "SlidingRoomFilter"). */
export interface ListFilters {
  readonly isDm: boolean | undefined;
  readonly isInvite: boolean | undefined;
  readonly isEncrypted: boolean | undefined;
  /** `null` stands for rooms without a type. */
  readonly roomTypes: readonly (string | null)[] | undefined;
  readonly notRoomTypes: readonly (string | null)[] | undefined;
  /** Any of them; of `notTags` none, which wins. */
  readonly tags: readonly string[] | undefined;
  readonly notTags: readonly string[] | undefined;
  /** Rooms that one of these spaces names; those count that the reader is in. */
  readonly spaces: readonly RoomId[] | undefined;
}

export interface ListRequest {
  /** `"all"`: every room that passes the filters. */
  readonly ranges: readonly Range[] | "all";
  readonly filters: ListFilters;
  readonly config: RoomConfig;
}

export interface ToDeviceRequest {
  /** The client has all messages up to this sequence; undefined: it names none of ours. */
  readonly since: number | undefined;
  /** Messages at most. */
  readonly limit: number;
}

/** Of which rooms an extension tells: those that any part names, as far as the request covers them. */
export interface ExtensionScope {
  /** Rooms in the ranges of these lists. */
  readonly lists: "all" | ReadonlySet<string>;
  /** `"all"`: all rooms that the request covers, by lists or subscriptions. */
  readonly rooms: "all" | ReadonlySet<RoomId>;
}

/** Extensions that are asked for; undefined: not. */
export interface ExtensionsRequest {
  readonly toDevice?: ToDeviceRequest | undefined;
  readonly e2ee?: true | undefined;
  readonly accountData?: ExtensionScope | undefined;
  readonly receipts?: ExtensionScope | undefined;
  readonly typing?: ExtensionScope | undefined;
}

/** One request, in the engine's words. */
export interface SyncRequest {
  /** `""` where the client gave none. */
  readonly connId: string;
  /** As the client sent it; undefined on a first request. */
  readonly pos: string | undefined;
  /** How long to wait for news, in milliseconds. */
  readonly timeoutMs: number;
  readonly lists: ReadonlyMap<string, ListRequest>;
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig>;
  /**
   * `"replace"`: subscriptions are those of this request. `"keep"`: earlier ones go on until they are named in
   * `unsubscribed` (matrix-js-sdk sends each only once, on connections without `conn_id`).
   */
  readonly subscriptionMode: "replace" | "keep";
  readonly unsubscribed: readonly RoomId[];
  /** The answer says which rooms stand in each range, in order. Without it a list that covers all rooms costs no sort. */
  readonly needsWindows?: boolean;
  readonly extensions: ExtensionsRequest;
}
