import type { RoomId, UserId } from "../model/ids.ts";
import type { Membership } from "../model/membership.ts";
import type { StateEvent, StoredEvent } from "../model/stored-event.ts";
import type { Range } from "./request.ts";

export interface Hero {
  readonly userId: UserId;
  readonly displayName: string | undefined;
  readonly avatarUrl: string | undefined;
}

/** An event as one reader gets it. */
export interface ShownEvent {
  readonly event: StoredEvent;
  /** `unsigned.transaction_id`: only for the device that sent the event. */
  readonly transactionId: string | undefined;
}

export interface TimelineAnswer {
  /** Oldest first. */
  readonly events: readonly ShownEvent[];
  /** Something between what was told before (or the start of the room) and the first event is not here. */
  readonly limited: boolean;
  readonly prevBatch: string | undefined;
  /** How many events at the end were learnt after the request's `pos`. */
  readonly numLive: number;
}

/** What one answer says of one room. In a delta (`isInitial` false) undefined means unchanged. */
export interface RoomAnswer {
  readonly roomId: RoomId;
  readonly membership: Membership;
  readonly isInitial: boolean;
  readonly name: string | undefined;
  /** null: it was removed. */
  readonly avatar: string | null | undefined;
  readonly heroes: readonly Hero[] | undefined;
  /** The reader counts the room as a conversation with single people (`m.direct`). */
  readonly isDm: boolean;
  readonly joinedCount: number | undefined;
  readonly invitedCount: number | undefined;
  readonly notificationCount: number;
  readonly highlightCount: number;
  readonly bumpStamp: number | undefined;
  readonly requiredState: readonly StateEvent[];
  /** undefined: none was asked for, or the room is an invite or a knock. */
  readonly timeline: TimelineAnswer | undefined;
  /** The timeline limit grew: the newest events are sent again from the start of the new limit. */
  readonly isTimelineExpanded: boolean;
  /** Invite or knock: stripped state as a raw JSON array, own member event included. */
  readonly strippedState: Buffer | undefined;
}

export interface ListAnswer {
  /** Rooms that pass the filters, whatever the ranges. */
  readonly count: number;
  /** The rooms in each requested range, newest activity first. Empty unless the request `needsWindows`. */
  readonly windows: readonly { readonly range: Range; readonly roomIds: readonly RoomId[] }[];
}

export interface ToDeviceAnswer {
  /** In order; each as raw JSON. */
  readonly events: readonly Buffer[];
  /** The client has everything up to this sequence once it has the answer. */
  readonly nextBatch: number;
}

export interface DeviceListsAnswer {
  readonly changed: readonly UserId[];
  readonly left: readonly UserId[];
}

export interface E2eeAnswer {
  /** undefined: on a first request. */
  readonly deviceLists: DeviceListsAnswer | undefined;
  /** As the homeserver sent it, a JSON object; undefined: not known yet. */
  readonly oneTimeKeys: Buffer | undefined;
  /** As the homeserver sent it, a JSON array; undefined: not known yet, or it has no fallback keys. */
  readonly fallbackKeys: Buffer | undefined;
}

export interface AccountDataAnswer {
  /** Whole events as raw JSON. */
  readonly global: readonly Buffer[];
  readonly rooms: ReadonlyMap<RoomId, readonly Buffer[]>;
}

export interface ShownReceipt {
  readonly eventId: string;
  readonly type: string;
  readonly userId: UserId;
  readonly tsMs: number;
  /** undefined: of the whole room. */
  readonly threadId: string | undefined;
}

export interface ReceiptsAnswer {
  /** Of an event, a type and a user one at most. */
  readonly rooms: ReadonlyMap<RoomId, readonly ShownReceipt[]>;
}

export interface TypingAnswer {
  /** All who type in a room now. */
  readonly rooms: ReadonlyMap<RoomId, readonly UserId[]>;
}

/** Of extensions that were asked for. */
export interface ExtensionsResponse {
  readonly toDevice: ToDeviceAnswer | undefined;
  readonly e2ee: E2eeAnswer | undefined;
  readonly accountData: AccountDataAnswer | undefined;
  readonly receipts: ReceiptsAnswer | undefined;
  readonly typing: TypingAnswer | undefined;
}

/** One answer, in the engine's words. */
export interface SyncResponse {
  readonly lists: ReadonlyMap<string, ListAnswer>;
  readonly rooms: readonly RoomAnswer[];
  readonly extensions: ExtensionsResponse;
}
