import type { UserId } from "../../model/ids.ts";
import { isDeparted, Membership, membershipOf, previousMembership } from "../../model/membership.ts";
import type { StateValue } from "../../model/room-facts.ts";
import { type Visibility, visibilityOf } from "../../model/visibility.ts";
import { ENCRYPTION, type ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { Source } from "./source.ts";

/** A section says that an event is current for its key, where another one is stored. */
export interface StateClaim {
  readonly event: ParsedEvent;
  /** The event was not stored before. */
  readonly isNew: boolean;
  readonly current: StateValue;
  /** The section holds the current event too, before this one. */
  readonly isCurrentSeen: boolean;
  readonly section: Pick<ParsedSection, "kind" | "isReturning">;
  readonly source: Pick<Source, "userId" | "storedBefore" | "poll" | "ignoresSomebody">;
  /** In force in the room. */
  readonly visibility: Visibility;
}

/**
 * What a claim is worth: it stands, it stands until the homeserver was asked, or it does not stand and the homeserver is asked.
 */
export type Standing = "proven" | "restricts" | "unproven";

/**
 * Whether the claim stands. Streams of several users bring the same room in their own time, so neither arrival nor
 * timestamps decide, but what the response can have known: it has the current value before the new one, or was asked for
 * after the current value was stored. The section of a room that its user left tells of the time of the departure.
 *
 * What restricts acts at once: a departure, a stricter visibility.
 */
export function standingOf(claim: StateClaim): Standing {
  if (isProven(claim)) return "proven";
  return isRestriction(claim) ? "restricts" : "unproven";
}

function isProven({ current, isCurrentSeen, section, source }: StateClaim): boolean {
  if (isCurrentSeen) return true;
  const tellsOfNow = section.kind !== "leave" || source.poll === "asked";
  return tellsOfNow && wasStoredBefore(current.position, source);
}

function isRestriction({ event, isNew, section, source, visibility }: StateClaim): boolean {
  if (section.kind === "leave") {
    // Of an invite by somebody whom they ignore they are not told.
    const mayReturn = section.isReturning === true || source.ignoresSomebody;
    return isNew && !mayReturn && isDepartureOf(event, source.userId);
  }
  return isNew && (isDepartureOf(event, event.stateKey) || isStricter(event, visibility));
}

/** Whether a value was stored before the request was sent. */
export const wasStoredBefore = (
  position: StateValue["position"],
  { storedBefore }: Pick<Source, "storedBefore">,
): boolean => position !== undefined && position <= storedBefore;

/** A leave, kick or ban of the user. */
export function isDepartureOf(event: ParsedEvent, userId: string | undefined): boolean {
  if (event.type !== "m.room.member" || userId === undefined || event.stateKey !== userId) return false;
  const membership = membershipOf(event.content);
  return membership !== undefined && isDeparted(membership);
}

export const isMemberOf = (event: ParsedEvent, userId: UserId): boolean =>
  event.type === "m.room.member" && event.stateKey === userId;

/** A change of name or picture, as against an arrival. */
export const wasJoinedBefore = ({ unsigned }: ParsedEvent): boolean => previousMembership(unsigned) === Membership.join;

/** A ban, or another departure, of who had gone already. */
export const wasOutBefore = ({ unsigned }: ParsedEvent): boolean => {
  const previous = previousMembership(unsigned);
  return previous !== undefined && isDeparted(previous);
};

export const isVisibilityEvent = (event: ParsedEvent): boolean =>
  event.type === "m.room.history_visibility" && event.stateKey === "";

export const isCreation = (event: ParsedEvent | undefined): boolean =>
  event?.type === "m.room.create" && event.stateKey === "";

/** What a room never loses: what made it, and that it is encrypted. A client that missed either would be wrong for good. */
export const isLasting = (type: string, stateKey: string): boolean =>
  stateKey === "" && (type === "m.room.create" || type === ENCRYPTION);

const isStricter = (event: ParsedEvent, than: Visibility): boolean =>
  isVisibilityEvent(event) && visibilityOf(event.content.history_visibility) > than;
