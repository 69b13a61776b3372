import { Membership } from "../../model/membership.ts";
import type { Tx } from "../../store/database.ts";
import { type LeftOut, selectLeftOut } from "../../store/left-out.ts";
import type { Contest } from "./contest.ts";
import { ignoredIn } from "./ignoring.ts";
import type { ResponsePart } from "./part.ts";

/**
 * What a first sync leaves out, which has all rooms and invites of its user: memberships that were stored before it was asked
 * for and that it does not name are asked for, one by one, so that no answer puts a user out of a room by what it leaves out.
 */
export async function contestsOfLeftOut(tx: Tx, { source, end }: ResponsePart): Promise<readonly Contest[]> {
  if (end?.whole === undefined) return [];
  const { userNid, userId, storedBefore } = source;
  const ignored = ignoredIn(end.rest.accountData) ?? new Set();
  const { named, askedAfter } = end.whole;
  const leftOut = await selectLeftOut(tx, userNid, { named, storedBefore: askedAfter });
  return leftOut
    .filter((each) => !isKeptBack(each, ignored))
    .map((each) => {
      const { roomId, membership: stored } = each;
      // Who may not read a room that they are in is in no room; an invite may be read by nobody, be it there or not.
      const after = stored === Membership.invite ? storedBefore : askedAfter;
      const saysNothing = isKnock(stored) || each.since > after;
      const claimed = { kind: "leave", stripped: [], own: [], leftOutAfter: after } as const;
      return { kind: "membership", userNid, userId, roomId, stored, claimed: saysNothing ? undefined : claimed };
    });
}

/** Dendrite tells of no knocks: that one is left out says nothing. */
const isKnock = (membership: Membership): boolean => membership === Membership.knock;

/** Of who is ignored no invite comes, though it stands. */
const isKeptBack = ({ membership, sender }: LeftOut, ignored: ReadonlySet<string>): boolean =>
  membership === Membership.invite && ignored.has(sender);
