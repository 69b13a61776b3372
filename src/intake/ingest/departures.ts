import type { UserId } from "../../model/ids.ts";
import { isDeparted, Membership, membershipOf } from "../../model/membership.ts";
import type { MembershipRow } from "../../model/room-facts.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { isPlaceOf, type UnnumberedMembership } from "./own-membership.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Source } from "./source.ts";
import { isDepartureOf, wasStoredBefore } from "./state-claim.ts";

/**
 * Departures of other users whose devices use Slidecar act at once, whoever's stream brought them; their joins and invites
 * wait for their own stream. A departure whose place was not known may have got it with the section.
 */
export function departuresOfOthers(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
): ReadonlyMap<UserId, UnnumberedMembership> {
  const departed = new Map<UserId, UnnumberedMembership>();
  for (const event of [...section.state, ...section.timeline]) {
    if (!isDepartureOf(event, event.stateKey) || event.stateKey === source.userId) continue;
    const userId = event.stateKey as UserId;
    const before = draft.memberships.get(userId);
    const membership = membershipOf(event.content);
    const nid = draft.events.nidOf(event.eventId);
    const orderKey = draft.events.orderKeyOf(event.eventId);
    if (before === undefined || membership === undefined || nid === undefined) continue;
    const isTransition = !isDeparted(before.membership);
    const isLearnt = isTransition && (draft.events.isNew(event.eventId) || isAnswer(source, before));
    const isPlaced = isPlaceOf(before, nid) && orderKey !== undefined;
    if (!isPlaced && (!isLearnt || draft.currentState("m.room.member", userId) !== nid)) continue;
    departed.set(userId, {
      userNid: before.userNid,
      membership,
      sender: event.sender,
      nid,
      isTransition,
      sinceOrderKey: orderKey ?? seenBefore(draft, source),
      stripped: before.stripped,
      sinceUs: undefined,
    });
  }
  for (const before of lostMembers(draft, section)) {
    if (before.userId !== source.userId) departed.set(before.userId, lostMembership(before, seenBefore(draft, source)));
  }
  return departed;
}

/** Users who are in the room and have no member event any more. */
const lostMembers = (draft: RoomDraft, { absent = [] }: ParsedSection): readonly MembershipRow[] =>
  absent.flatMap(({ type, stateKey }) => {
    const before = type === "m.room.member" ? draft.memberships.get(stateKey as UserId) : undefined;
    const isOut = before === undefined || isDeparted(before.membership);
    // One that was stored meanwhile is asked for again.
    return isOut || draft.currentState(type, stateKey) !== undefined ? [] : [before];
  });

/** Known as state only, the departure came after all that the stream had before. */
function seenBefore({ row, events }: RoomDraft, { lastSeen }: Source): number | undefined {
  const last = lastSeen.get(row.roomId);
  return last && events.orderKeyOf(last);
}

/** State resolution took the member event away: a departure that nobody sent. */
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
