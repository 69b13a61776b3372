import type { UserId } from "../../model/ids.ts";
import { isDeparted, membershipOf } from "../../model/membership.ts";
import type { MembershipRow } from "../../model/room-facts.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { UnnumberedMembership } from "./own-membership.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Source } from "./source.ts";
import { isDepartureOf, wasStoredBefore } from "./state-claim.ts";

/**
 * Departures of other users whose devices use Slidecar act at once, whoever's stream brought them; their joins and invites
 * wait for their own stream. `endBefore`: order key of the room's end before the section.
 */
export function departuresOfOthers(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  endBefore: number | undefined,
): ReadonlyMap<UserId, UnnumberedMembership> {
  const departed = new Map<UserId, UnnumberedMembership>();
  for (const event of [...section.state, ...section.timeline]) {
    if (!isDepartureOf(event, event.stateKey) || event.stateKey === source.userId) continue;
    const userId = event.stateKey as UserId;
    const before = draft.memberships.get(userId);
    const membership = membershipOf(event.content);
    const nid = draft.events.nidOf(event.eventId);
    if (before === undefined || isDeparted(before.membership) || membership === undefined || nid === undefined)
      continue;
    const isLearnt = draft.events.isNew(event.eventId) || isAnswer(source, before);
    if (!isLearnt || draft.currentState("m.room.member", userId) !== nid) continue;
    departed.set(userId, {
      userNid: before.userNid,
      membership,
      sender: event.sender,
      nid,
      isTransition: true,
      // Known as state only, it may have come before all of the section's timeline.
      sinceOrderKey: draft.events.orderKeyOf(event.eventId) ?? endBefore,
      stripped: undefined,
      strippedUs: undefined,
    });
  }
  return departed;
}

/** The homeserver was asked after the membership was stored. */
const isAnswer = (source: Source, { since }: MembershipRow): boolean =>
  source.poll === "asked" && wasStoredBefore(since, source);
