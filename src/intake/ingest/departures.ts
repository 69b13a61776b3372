import type { EventNid, UserId } from "../../model/ids.ts";
import { isDeparted, isStripped, Membership, membershipOf } from "../../model/membership.ts";
import { type MembershipRow, NO_PLACE_YET, NO_STAY, ORDER_KEY_STEP } from "../../model/room-facts.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { endOfStayAt, isPlaceOf, seenBefore, type UnnumberedMembership } from "./own-membership.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Source } from "./source.ts";
import { isDepartureOf, wasStoredBefore } from "./state-claim.ts";

const MEMBER = "m.room.member";

/** What a section of somebody else's stream says of a user whose membership is stored. */
interface OthersWord {
  readonly draft: RoomDraft;
  readonly source: Source;
  readonly before: MembershipRow;
  /** The user's member events, the last one last. */
  readonly events: readonly ParsedEvent[];
  /** The section's own user has just left, as against long ago. */
  readonly isFarewell: boolean;
}

/**
 * Departures of other users whose devices use Slidecar act at once, whoever's stream brought them; their joins and invites
 * wait for their own stream. A departure whose place was not known may have got it with the section. `isFarewell`: the
 * section's own user has just left, as against long ago.
 */
export function departuresOfOthers(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  isFarewell: boolean,
): ReadonlyMap<UserId, UnnumberedMembership> {
  const changes = new Map<UserId, UnnumberedMembership>();
  for (const [userId, events] of membersIn(section)) {
    const before = userId === source.userId ? undefined : draft.memberships.get(userId);
    if (before === undefined) continue;
    const word = { draft, source, before, events, isFarewell };
    const change = isDeparted(before.membership) ? placedDeparture(word) : endOfStay(word);
    if (change !== undefined) changes.set(userId, change);
  }
  for (const before of lostMembers(draft, section)) {
    if (before.userId !== source.userId) changes.set(before.userId, lostMembership(before, seenBefore(draft, source)));
  }
  return changes;
}

function membersIn({ state, timeline, isStateAfter }: ParsedSection): ReadonlyMap<UserId, readonly ParsedEvent[]> {
  const all = isStateAfter ? [...timeline, ...state] : [...state, ...timeline];
  return Map.groupBy(
    all.filter(({ type, stateKey }) => type === MEMBER && stateKey !== undefined),
    ({ stateKey }) => stateKey as UserId,
  );
}

function placedDeparture({ draft, before, events }: OthersWord): UnnumberedMembership | undefined {
  const placed = events.find(({ eventId }) => isPlaceOf(before, draft.events.nidOf(eventId)));
  const sinceOrderKey = placed && endOfStayAt(draft, placed);
  if (placed === undefined || sinceOrderKey === undefined) return undefined;
  return { ...byEvent(before, placed, draft), isTransition: false, sinceOrderKey };
}

/** Without a place, a departure counts where it is what the user is now. Who is invited, or knocks, is not in the room. */
function endOfStay(word: OthersWord): UnnumberedMembership | undefined {
  const { draft, source, before, events } = word;
  const last = events.findLast((event) => isCurrent(event, word));
  const membership = last && membershipOf(last.content);
  const departure = membership !== undefined && isDeparted(membership) ? last : undefined;
  const placed = placedEnd(word, departure);
  if (placed !== undefined || last === undefined || membership === undefined) return placed;
  const wasIn = before.membership === Membership.join;
  const sinceOrderKey = wasIn ? (endOfStayAt(draft, last) ?? seenBefore(draft, source)) : NO_STAY;
  if (departure !== undefined) return { ...byEvent(before, departure, draft), sinceOrderKey };
  return wasIn && isStripped(membership) ? lostMembership(before, seenBefore(draft, source)) : undefined;
}

/**
 * A departure ends the stay that it stands in, though the user came back since: only their own stream lets them in again, and
 * where it has done that, their stay began there. `last`: how the user is out now, if they are.
 */
function placedEnd(word: OthersWord, last: ParsedEvent | undefined): UnnumberedMembership | undefined {
  const { draft, source, before, events } = word;
  const ends = events.filter((event) => endsStay(event, word));
  if (ends.length === 0) return undefined;
  const isArrival = ({ eventId }: ParsedEvent) =>
    before.nid !== undefined && draft.events.nidOf(eventId) === before.nid;
  const back = events.findIndex(isArrival);
  const end = ends.find((event) => events.indexOf(event) > back);
  const arrival = events[back];
  if (end !== undefined) {
    const sinceOrderKey = endOfStayAt(draft, end) ?? seenBefore(draft, source);
    return { ...byEvent(before, last ?? end, draft), sinceOrderKey };
  }
  if (arrival === undefined) return undefined;
  return {
    ...byEvent(before, arrival, draft),
    sinceOrderKey: draft.events.orderKeyOf(arrival.eventId) ?? NO_PLACE_YET,
  };
}

/** Of who is in the room: it got its place after their arrival. */
function endsStay(event: ParsedEvent, { draft, before: { userId, membership, sinceOrderKey } }: OthersWord): boolean {
  const orderKey = draft.events.orderKeyOf(event.eventId);
  if (membership !== Membership.join || orderKey === undefined || !isDepartureOf(event, userId)) return false;
  const nid = draft.events.nidOf(event.eventId);
  const isPlaced = draft.events.isNew(event.eventId) || draft.writes.placed.some((each) => each.nid === nid);
  return isPlaced && orderKey >= (sinceOrderKey ?? ORDER_KEY_STEP);
}

/** It is what the user is now, or was when the section's own user left; and was not known, or not for that. */
function isCurrent(event: ParsedEvent, { draft, source, before, events, isFarewell }: OthersWord): boolean {
  const { eventId } = event;
  const nid = draft.events.nidOf(eventId);
  if (isFarewell && event === events.at(-1) && draft.events.isNew(eventId)) return true;
  if (nid === undefined || draft.currentState(MEMBER, before.userId) !== nid) return false;
  return draft.events.isNew(eventId) || isAnswer(source, before) || hasBecome(draft, before.userId, nid);
}

const hasBecome = ({ writes }: RoomDraft, userId: UserId, nid: EventNid): boolean =>
  writes.state.some((change) => change.type === MEMBER && change.stateKey === userId && change.nid === nid);

const byEvent = (
  { userNid, stripped }: MembershipRow,
  { eventId, content, sender }: ParsedEvent,
  { events }: RoomDraft,
): UnnumberedMembership => ({
  userNid,
  membership: membershipOf(content) ?? Membership.leave,
  sender,
  nid: events.nidOf(eventId),
  isTransition: true,
  sinceOrderKey: events.orderKeyOf(eventId),
  stripped,
  sinceUs: undefined,
});

/** Users who are in the room and have no member event any more. */
const lostMembers = (draft: RoomDraft, { absent = [] }: ParsedSection): readonly MembershipRow[] =>
  absent.flatMap(({ type, stateKey }) => {
    const before = type === MEMBER ? draft.memberships.get(stateKey as UserId) : undefined;
    const isOut = before === undefined || isDeparted(before.membership);
    // One that was stored meanwhile is asked for again.
    return isOut || draft.currentState(type, stateKey) !== undefined ? [] : [before];
  });

/** A departure of which no event is known. */
const lostMembership = (
  { userNid, userId, stripped }: MembershipRow,
  sinceOrderKey: number | undefined,
): UnnumberedMembership => ({
  userNid,
  membership: Membership.leave,
  sender: userId,
  nid: undefined,
  isTransition: true,
  sinceOrderKey,
  stripped,
  sinceUs: undefined,
});

/** The homeserver was asked after the membership was stored. */
const isAnswer = (source: Source, { since }: MembershipRow): boolean =>
  source.poll === "asked" && wasStoredBefore(since, source);
