import type { EventId, RoomNid, UserId } from "./ids.ts";
import type { StreamPosition } from "./stream-position.ts";
import type { Visibility } from "./visibility.ts";

/** What must be read for the extensions of one answer; undefined: nothing of that kind. */
export interface ExtensionReads {
  readonly toDevice?: ToDeviceReads | undefined;
  readonly deviceLists?: DeviceListReads | undefined;
  readonly accountData?: AccountDataReads | undefined;
  readonly receipts?: ReceiptReads | undefined;
  readonly typing?: readonly RoomAfter[] | undefined;
}

/** What changed in a room in `(after, to]`; `after` undefined: all there is, be it newer than `to`. */
export interface RoomAfter {
  readonly room: RoomNid;
  readonly after: StreamPosition | undefined;
}

export interface AccountDataReads {
  /** undefined: none of what belongs to no room. */
  readonly global: Pick<RoomAfter, "after"> | undefined;
  readonly rooms: readonly RoomAfter[];
}

export interface ReceiptReads {
  /** Rooms of which all receipts of the reader are wanted. */
  readonly own: readonly RoomNid[];
  readonly onEvents: readonly { readonly room: RoomNid; readonly eventId: EventId }[];
  /** Receipts on the newest so many events of a room. */
  readonly onNewest: readonly { readonly room: RoomNid; readonly events: number }[];
  readonly changed: readonly { readonly room: RoomNid; readonly after: StreamPosition }[];
}

/** The oldest messages with a larger sequence. */
export interface ToDeviceReads {
  readonly after: number;
  readonly limit: number;
}

/** Changes in `(after, to]`. */
export interface DeviceListReads {
  readonly after: StreamPosition;
}

export interface ToDeviceMessage {
  readonly sequence: number;
  /** The whole event as raw JSON. */
  readonly body: Buffer;
}

export interface DeviceListChange {
  readonly userId: UserId;
  /** Nobody has to follow the user's devices any more; else they changed. */
  readonly hasLeft: boolean;
}

export interface ReadAccountDatum {
  /** undefined: it belongs to no room. */
  readonly room: RoomNid | undefined;
  readonly type: string;
  /** The whole event as raw JSON. */
  readonly body: Buffer;
}

/** What decides whether somebody may see an event. */
export interface ReceiptEvent {
  /** Where it stands; undefined: in no timeline. */
  readonly orderKey: number | undefined;
  readonly visibility: Visibility;
}

export interface ReadReceipt {
  readonly room: RoomNid;
  readonly userId: UserId;
  readonly type: string;
  /** `""`: of the whole room. */
  readonly threadId: string;
  readonly eventId: EventId;
  readonly tsMs: number;
  /** undefined: it is not stored. */
  readonly event: ReceiptEvent | undefined;
}

export interface ReadTyping {
  readonly room: RoomNid;
  /** Who types now. */
  readonly userIds: readonly UserId[];
}

/** What was read. Of what was not wanted there is nothing. */
export interface ExtensionData {
  /** By sequence. */
  readonly toDevice: readonly ToDeviceMessage[];
  /** In the order in which it was learnt. */
  readonly deviceLists: readonly DeviceListChange[];
  readonly accountData: readonly ReadAccountDatum[];
  /** The same one may be there twice. */
  readonly receipts: readonly ReadReceipt[];
  readonly typing: readonly ReadTyping[];
}
