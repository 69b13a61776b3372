import type { StoredEvent } from "../event.ts";
import type { JsonObject } from "../json.ts";
import type { Unread } from "../push/unread.ts";
import type { Room } from "../room.ts";
import type { Shown } from "../shown.ts";
import type { StreamToken } from "../tokens.ts";
import type { Device } from "../user.ts";
import type { SyncFilter } from "./filter.ts";

export interface SyncRequest {
  readonly device: Device;
  readonly since: StreamToken | undefined;
  readonly timeoutMs: number;
  readonly fullState: boolean;
  readonly filter: SyncFilter;
  readonly useStateAfter: boolean;
  /** Under which key of a room its state is told. */
  readonly stateKey: string;
  /** What makes two requests the same question to Synapse's response cache. */
  readonly cacheKey: string;
}

/** A room that may have something to say, before its events were read. */
export interface RoomEntry {
  readonly room: Room;
  readonly kind: "join" | "leave";
  /** News since `since`, oldest first; `undefined` when they are yet to be read back from `upto`. */
  readonly events: readonly StoredEvent[] | undefined;
  readonly isNewlyJoined: boolean;
  readonly fullState: boolean;
  readonly since: StreamToken | undefined;
  /** Where the timeline is read back from. */
  readonly upto: StreamToken;
  /** The last stream position that this user may know of the room. */
  readonly end: number;
  /** A rejected or retracted invite of a room that this server is not in. */
  readonly isOutOfBand: boolean;
  /** The state of a room that the homeserver does not have. */
  readonly inventedState?: StoredEvent | undefined;
}

export interface Timeline {
  readonly events: readonly Shown[];
  readonly prevBatch: StreamToken | undefined;
  readonly isLimited: boolean;
}

export interface RoomAnswer {
  readonly room: Room;
  readonly timeline: Timeline;
  readonly state: readonly Shown[];
  readonly accountData: readonly JsonObject[];
  /** The rest is for joined rooms only. */
  readonly ephemeral: readonly JsonObject[];
  readonly summary: JsonObject;
  readonly unread: Unread | undefined;
}

export interface DeviceLists {
  readonly changed: readonly string[];
  readonly left: readonly string[];
}

export interface SyncAnswer {
  readonly nextBatch: StreamToken;
  readonly join: readonly RoomAnswer[];
  readonly leave: readonly RoomAnswer[];
  readonly invite: readonly StoredEvent[];
  readonly knock: readonly StoredEvent[];
  readonly accountData: readonly JsonObject[];
  readonly toDevice: readonly JsonObject[];
  readonly deviceLists: DeviceLists;
  readonly oneTimeKeyCounts: JsonObject;
  readonly unusedFallbackKeyTypes: readonly string[];
}

/** Whether an answer ends a long poll. Counts of keys and of unread events do not. */
export function hasNews(answer: SyncAnswer): boolean {
  const { join, leave, invite, knock, accountData, toDevice, deviceLists } = answer;
  const parts = [join, leave, invite, knock, accountData, toDevice, deviceLists.changed, deviceLists.left];
  return parts.some((part) => part.length > 0);
}
