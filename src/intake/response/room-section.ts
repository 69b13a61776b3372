import type { RoomId } from "../../model/ids.ts";

export type SectionKind = "join" | "invite" | "knock" | "leave";

/** What one v2 response says of one room: raw JSON values as in the body, each event on its own. */
export interface RoomSection {
  readonly kind: SectionKind;
  readonly roomId: RoomId;
  readonly timeline: Buffer[];
  /** Changes of state before the timeline (`state`). */
  readonly state: Buffer[];
  /** Changes of state up to the end of the timeline (`state_after`, spec 1.16 or MSC4222); undefined: the key is absent. */
  stateAfter: Buffer[] | undefined;
  readonly ephemeral: Buffer[];
  readonly accountData: AccountDataEvent[];
  /** Stripped state of an invite or knock. */
  readonly stripped: Buffer[];
  limited: boolean;
  prevBatch: string | undefined;
  summary: RoomSummary | undefined;
  counts: UnreadCounts | undefined;
  /** What its values weigh. */
  bytes: number;
  /** Why its values were dropped; undefined: they are there. */
  fault: string | undefined;
}

/** An account data event that can be stored. */
export interface AccountDataEvent {
  readonly type: string;
  /** The whole event as raw JSON. */
  readonly body: Buffer;
}

/** `summary`: what is absent is unchanged. */
export interface RoomSummary {
  readonly heroes: readonly string[] | undefined;
  readonly joinedCount: number | undefined;
  readonly invitedCount: number | undefined;
}

export interface UnreadCounts {
  readonly notifications: number;
  readonly highlights: number;
}

export function emptySection(kind: SectionKind, roomId: RoomId): RoomSection {
  return {
    kind,
    roomId,
    timeline: [],
    state: [],
    stateAfter: undefined,
    ephemeral: [],
    accountData: [],
    stripped: [],
    limited: false,
    prevBatch: undefined,
    summary: undefined,
    counts: undefined,
    bytes: 0,
    fault: undefined,
  };
}

/** Drops what a section holds. What it said of the timeline is a hole. */
export function dropValues(section: RoomSection, fault: string): void {
  const { roomId, kind, bytes } = section;
  Object.assign(section, { ...emptySection(kind, roomId), bytes, limited: true, fault });
}
