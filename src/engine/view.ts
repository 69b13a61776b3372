import type { DeviceFacts } from "../model/device-facts.ts";
import type { RoomId, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { Membership } from "../model/membership.ts";
import type { ReaderFacts } from "../model/reader-facts.ts";
import type { StreamPosition } from "../model/stream-position.ts";

/**
 * What a scan over thousands of rooms looks at, as columns: calls for each room would cost several times as much. Good until
 * something is waited for: what comes may replace them.
 */
export interface RoomFactColumns {
  /** By room number: {@link RoomFacts.activity}. */
  readonly activity: Float64Array;
  /** By room number: 1 where {@link RoomFacts.isComplete}. */
  readonly complete: Uint8Array;
  /** Low bits by which the numbers of neighbours differ: see `endOfNeighbours`. */
  readonly neighbourBits: number;
  /** By room number without these bits: not below the activity of any of the neighbours. */
  readonly activityNear: Float64Array;
  /** Likewise: how many of the neighbours are not complete. */
  readonly incompleteNear: Int32Array;
}

/** As {@link RoomFactColumns}. */
export interface ReaderRoomColumns {
  /** By index: {@link ReaderRooms.room}. */
  readonly rooms: Int32Array;
  /** By index: {@link ReaderRooms.membership}. */
  readonly memberships: Uint8Array;
  /** Indexes of the rooms that the reader is not in, ascending. */
  readonly outside: Int32Array;
}

/** Facts of rooms that all their readers share, in memory. Methods take a room that the reader's rooms name. */
export interface RoomFacts {
  readonly columns: RoomFactColumns;
  roomId(room: RoomNid): RoomId;
  /** Order in lists: larger is more recent. Microseconds since 1970, or a stream position: they compare. */
  activity(room: RoomNid): number;
  bumpStamp(room: RoomNid): number;
  /** Position of the newest fact of the room. */
  changedAt(room: RoomNid): StreamPosition;
  /** Not before {@link changedAt}, and the same for many rooms: none of them changed after it. */
  changedNear(room: RoomNid): StreamPosition;
  /** Not before the newest change of receipts in the room. */
  receiptsAt(room: RoomNid): StreamPosition;
  /** Not before the newest change of who types in the room. */
  typingAt(room: RoomNid): StreamPosition;
  /** Not before {@link receiptsAt} and {@link typingAt}, and the same for many rooms. */
  ephemeralNear(room: RoomNid): StreamPosition;
  /** A whole baseline with `m.room.create` is stored, and the room is not quarantined. */
  isComplete(room: RoomNid): boolean;
  /** When all members were known, since when changes of them were told; undefined: they are not all known. */
  membersKnownAt(room: RoomNid): StreamPosition | undefined;
  isEncrypted(room: RoomNid): boolean;
  /** Where in the timeline a room that was known became encrypted; undefined: it always was, or is not. */
  encryptionOrderKey(room: RoomNid): number | undefined;
  /** `type` of `m.room.create`. */
  roomType(room: RoomNid): string | undefined;
  name(room: RoomNid): string | undefined;
  avatar(room: RoomNid): string | undefined;
  joinedCount(room: RoomNid): number | undefined;
  invitedCount(room: RoomNid): number | undefined;
}

/** The rooms of one reader, in memory. Entries are addressed by index, `0 <= index < size`. */
export interface ReaderRooms {
  readonly size: number;
  readonly columns: ReaderRoomColumns;
  room(index: number): RoomNid;
  membership(index: number): Membership;
  /** Position of the newest fact of this reader in this room: own membership, unread counts or heroes. */
  changedAt(index: number): StreamPosition;
  /** Not before any of {@link changedAt}. */
  readonly newestChange: StreamPosition;
  /** Position of the last change from one membership to another. */
  since(index: number): StreamPosition;
  /** Order in lists, as {@link RoomFacts.activity}, of a room that the reader is not in: when that began. */
  activityOutside(index: number): number;
  /** The reader left by choice, or was sent away and has forgotten the room: who knows of that sees the room no more. */
  isDoneWith(index: number): boolean;
  isForgotten(index: number): boolean;
  /**
   * The reader is out since long ago, which is known because a subscription asked for it: no list has it on that account, and what
   * they may see of the room is kept apart.
   */
  isRecalled(index: number): boolean;
  /** Where the last change of membership stands in the timeline; undefined: before all events that are stored. */
  sinceOrderKey(index: number): number | undefined;
  /** Position of the last change of the reader's heroes, or of {@link since} where that brought them. */
  heroesAt(index: number): StreamPosition;
  notificationCount(index: number): number;
  highlightCount(index: number): number;
  /** Of an invite or a knock, or of one that ended without a join: stripped state as a raw JSON array. */
  strippedState(index: number): Buffer | undefined;
  /** -1: none. */
  indexOf(room: RoomNid): number;
  /** Room number of a room id that the reader has or had something to do with. */
  findRoom(roomId: RoomId): RoomNid | undefined;
}

/** When a reader's account data changed: not before it did, and later where that is not known. */
export interface AccountDataChanges {
  /** Of what belongs to no room. */
  readonly globalAt: StreamPosition;
  /** Not before any of {@link at}. */
  readonly newestAt: StreamPosition;
  at(room: RoomNid): StreamPosition;
}

/** Everything in memory that one reader's answers are planned from. */
export interface ReaderView {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly own: ReaderFacts;
  /** Of the device that asks. */
  readonly device: DeviceFacts;
  readonly facts: RoomFacts;
  readonly rooms: ReaderRooms;
  readonly accountData: AccountDataChanges;
  /** By room; rooms without tags are not in it. */
  readonly tags: ReadonlyMap<RoomNid, ReadonlySet<string>>;
  /** Rooms that a space names which a request filters by. */
  childrenOf(space: RoomNid): ReadonlySet<RoomId>;
}
