import type { JsonObject } from "./json.ts";
import type { TokenFormat } from "./token-format.ts";

/**
 * In what one homeserver differs from another, as far as a client sees it. Where a homeserver needs another
 * rule rather than another value, the rule becomes a function here and the caller asks it.
 */
export interface Profile {
  readonly name: string;
  readonly serverHeader: string;
  readonly versions: JsonObject;
  readonly defaultTimelineLimit: number;
  /** Larger timeline limits are cut to this. */
  readonly maxTimelineLimit: number;
  /** How long a computed `/sync` answer is given again to the same question. */
  readonly responseCacheMs: number;
  readonly maxToDeviceMessages: number;
  readonly defaultRoomVersion: string;
  readonly lazyMemberCacheSize: number;
  readonly lazyMemberCacheMs: number;
  readonly tokens: TokenFormat;
  /** An access token; `draw` gives so many random letters. */
  readonly accessToken: (localpart: string, draw: (length: number) => string) => string;
  /** Body of a 401 beside `errcode`. */
  readonly refusal: (isSoft: boolean) => { readonly error: string; readonly more: JsonObject };
  /** One counter numbers everything that happens, instead of one for each stream. */
  readonly hasOneCounter: boolean;
  /** How long a long poll waits that was asked to wait so long. */
  readonly waitsMs: (askedMs: number) => number;
  /** Which of the rooms that a user left a first sync tells of. */
  readonly leftRooms: "kicks and bans" | "those asked for" | "none";
  /** The state that is read by who left: that of then; that of now where the world may read the room; or none but that. */
  readonly stateForDeparted: "of then" | "of then, or open" | "open";
  readonly tellsOfKnocks: boolean;
  /** What a user is told whose invite is gone. An invented event has an id that no room knows. */
  readonly endOfInvite: "the event" | "an invented timeline event" | "an invented state event";
  /** Account data of a room that the user is not in comes in a section of a joined room. */
  readonly joinsForRoomData: boolean;
  /** Whether MSC4222 is understood; `setting`: when a test switches it on. */
  readonly stateAfter: "setting" | "always" | "never";
  /** `state` holds state before the timeline, or that of now without what stands in the timeline. */
  readonly legacyState: "before the timeline" | "of now";
  readonly timelines: TimelineRules;
  readonly members: MemberRules;
  readonly countsThreads: boolean;
  /** Unread counts come only with events or a receipt of the user's own. */
  readonly tellsCountsWithNewsOnly: boolean;
  /** Rooms that make users hear of each other's devices. */
  readonly deviceListRooms: "all" | "encrypted";
  /** What `unsigned` says of the event that a state event replaced. */
  readonly previousContent: "once it was read" | "always" | "in timelines";
}

export interface TimelineRules {
  /** Pages are read until the limit is reached or nothing is left; else one page is read and then filtered. */
  readonly areFilled: boolean;
  /** Events that the user may not see are left out. */
  readonly hideHistory: boolean;
  /** A timeline that lost events to visibility is not called `limited`. */
  readonly forgetLimitWhenHiding: boolean;
  /** The timeline of a room that was joined since the token goes back before the token. */
  readonly reachBackOnJoin: boolean;
  readonly order: "as arrived" | "by depth";
  /** Events that were missed from other servers show as `limited`. */
  readonly tellOfGaps: boolean;
  /** When events come with what relates to them. */
  readonly bundles: "when limited" | "always" | "never";
  readonly tellMembership: boolean;
}

export interface MemberRules {
  /** `include_redundant_members` is obeyed. */
  readonly areRepeatedOnRequest: boolean;
  /** Lazy loading works in encrypted rooms, too. */
  readonly areLazyInEncryptedRooms: boolean;
  /** Rooms with more members have no heroes. */
  readonly maxForHeroes: number;
}
