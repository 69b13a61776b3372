import type { UserNid } from "../../model/ids.ts";
import type { Landmark } from "../../model/room-facts.ts";
import { Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { EventBook } from "./event-book.ts";
import { type Placement, placeBatch, type Tail } from "./place.ts";
import { replacedVisibility } from "./replaced-visibility.ts";
import type { Source } from "./source.ts";
import { isCreation, isVisibilityEvent } from "./state-claim.ts";

/** Older events of a room that can be stored, with what was in force at each of them. */
export interface OpenHistory {
  readonly section: ParsedSection;
  readonly visibilities: readonly Visibility[];
}

/**
 * The newest part of a page of older events that all members of the room may see. Of what stands before, nobody knows whom it
 * was shown to: the homeserver showed it to one user. So all that is kept attests for everybody whom its user's stream does,
 * and may be shown to all. `after`: in force after the last event.
 */
export function openHistory(section: ParsedSection, after: Visibility): OpenHistory {
  const { timeline } = section;
  let visibility = replacedVisibility(timeline) ?? visibilityBefore(timeline, after);
  const visibilities = timeline.map((event) => {
    const inForce = visibility;
    if (isVisibilityEvent(event)) visibility = visibilityOf(event.content.history_visibility);
    return inForce;
  });
  const from = visibilities.findLastIndex((each) => !isOpen(each)) + 1;
  if (from === 0) return { section, visibilities };
  const open = { ...section, timeline: timeline.slice(from), prevBatch: undefined };
  return { section: open, visibilities: visibilities.slice(from) };
}

/** Where no change says what it replaced. A room begins without a visibility, which counts as `shared` (Client-Server API). */
function visibilityBefore(timeline: readonly ParsedEvent[], after: Visibility): Visibility {
  if (isCreation(timeline[0])) return Visibility.shared;
  return timeline.some(isVisibilityEvent) ? Visibility.unknown : after;
}

const isOpen = (visibility: Visibility): boolean =>
  visibility === Visibility.shared || visibility === Visibility.worldReadable;

/**
 * Finds places for older events, oldest first, the last of which is known: they fill holes before what is known of them.
 * Nothing comes to the end of the room, and nothing is moved. Undefined: they cannot stand so, as where the homeserver orders
 * events by another rule than its streams do, or keeps some back from its user; or their user could not read on to them.
 */
export function placeHistory(
  landmarks: readonly (Landmark | undefined)[],
  tail: Tail | undefined,
  attestedFor: UserNid | undefined,
): Placement | undefined {
  const known = landmarks.filter((landmark) => landmark !== undefined);
  const isInOrder = known.every(({ orderKey }, at) => at === 0 || orderKey > (known[at - 1]?.orderKey ?? orderKey));
  if (landmarks.at(-1) === undefined || !isInOrder || !fillsHoles(landmarks)) return undefined;
  const placement = placeBatch(landmarks, tail, { limited: true, reachesEnd: false, attestedFor });
  const isBeside = placement.started.length === 0 && placement.places.every((place) => !place?.isAtEnd);
  return isBeside ? placement : undefined;
}

/**
 * Whether what is not known leads to a known event that follows a hole, from the event before that hole where that is known of
 * them. Elsewhere the user sees as neighbours what others see something between.
 */
function fillsHoles(landmarks: readonly (Landmark | undefined)[]): boolean {
  return landmarks.every((landmark, at) => {
    if (landmark === undefined || at === 0 || landmarks[at - 1] !== undefined) return true;
    const { previous, chunk, continues } = landmark;
    const older = landmarks.slice(0, at).findLast((each) => each !== undefined);
    const isBeyondHole = older === undefined || older.orderKey === previous?.orderKey;
    return isBeyondHole && (previous === undefined || (previous.chunk !== chunk && !continues));
  });
}

/** A page of older events up to the last known one: what follows that is news, which the streams bring. */
export function upToKnown(
  page: ParsedSection,
  { lastSeen }: Source,
  events: Pick<EventBook, "orderKeyOf">,
): ParsedSection {
  if (lastSeen.has(page.roomId)) return page;
  const last = page.timeline.findLastIndex(({ eventId }) => events.orderKeyOf(eventId) !== undefined);
  return { ...page, timeline: page.timeline.slice(0, last + 1) };
}
