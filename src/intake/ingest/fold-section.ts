import { ChangeFlag, ChangeStream } from "../../model/change.ts";
import type { UserId, UserNid } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import type { MembershipChange, MembershipRow } from "../../model/room-facts.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { ClaimedMembership } from "./contest.ts";
import { departuresOfOthers } from "./departures.ts";
import { contestedMembership, ownMembership } from "./own-membership.ts";
import { personalChange } from "./personal-change.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers, Source } from "./source.ts";
import { isMemberOf, wasStoredBefore } from "./state-claim.ts";

/** A section folded into its room's draft. */
export interface FoldedSection {
  /** What is to be published. */
  readonly changes: readonly NewChange[];
  /** The batch of the room's events, when there are any. */
  readonly roomBatch: number | undefined;
  /** {@link SectionResult.hasSent} */
  readonly hasSent: boolean;
  /** Something of the user's own went into the shared batch. */
  readonly isShared: boolean;
}

/**
 * Folds one section of one user's stream. Pure but for the draft, which it fills. With `sharedBatch` all that is the
 * user's own goes into that batch, which the caller publishes: a long response brings thousands of rooms at once.
 */
export function foldSection(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  numbers: Numbers,
  sharedBatch: number | undefined,
): FoldedSection {
  const { room } = draft.row;
  const before = draft.memberships.get(source.userId);
  const changes: NewChange[] = [];
  let roomBatch: number | undefined;
  let hasSent = false;
  let isShared = false;
  const batches = new Map<UserNid, number>();
  const batchOf = (userNid: UserNid): number => {
    if (sharedBatch !== undefined && userNid === source.userNid) {
      isShared = true;
      return sharedBatch;
    }
    const batch = batches.get(userNid) ?? numbers.batch();
    if (!batches.has(userNid)) {
      batches.set(userNid, batch);
      changes.push({ batch, stream: ChangeStream.membership, room, userNid, flags: ChangeFlag.columns });
    }
    return batch;
  };
  if (isOutOfBand(section, source, before)) {
    const unknown = section.timeline.filter(({ eventId }) => draft.events.nidOf(eventId) === undefined);
    for (const event of unknown) draft.keep(event, batchOf(source.userNid));
  } else {
    const { batch, flags, ...applied } = draft.apply(section, source);
    hasSent = applied.hasSent;
    if (flags !== 0) {
      roomBatch = batch;
      changes.push({ batch, stream: ChangeStream.room, room, flags });
    }
  }
  const word = { draft, section, source, before };
  const own = ownMembership(word);
  if (own !== undefined) {
    keepMembership(draft, source.userId, { ...own, batch: batchOf(own.userNid) });
    draft.movedBy.set(source.userId, source);
  }
  const claimed = own === undefined ? contestedMembership(word) : undefined;
  if (claimed !== undefined) noteContest(draft, before ?? { ...source, membership: Membership.leave }, claimed);
  const isOfNow = before?.membership === Membership.join || source.poll === "live";
  const isFarewell = section.kind === "leave" && isOfNow && source.poll !== "asked";
  foldOthers(draft, section, source, batchOf, isFarewell);
  if (section.kind === "join") keepPersonal(draft, section, source, batchOf);
  return { changes, roomBatch, hasSent, isShared };
}

/** What a section says of other users whose devices use Slidecar. `batchOf`: that of a user's changes. `isFarewell`: its own user has just left. */
export function foldOthers(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  batchOf: (userNid: UserNid) => number,
  isFarewell = false,
): void {
  for (const [userId, change] of departuresOfOthers(draft, section, source, isFarewell)) {
    const known = draft.memberships.get(userId);
    const isCurrent = draft.currentState("m.room.member", userId) === change.nid;
    const isProven = isCurrent && known !== undefined && wasStoredBefore(known.since, source);
    if (known !== undefined && change.isTransition && !isProven) noteContest(draft, known, undefined);
    keepMembership(draft, userId, { ...change, batch: batchOf(change.userNid) });
    if (change.isTransition) draft.movedBy.delete(userId);
  }
}

/**
 * The end of an invite or knock, which a homeserver may tell by a leave event that it made up: it says that the user is
 * out, and nothing of the room.
 */
function isOutOfBand(section: ParsedSection, { userId }: Source, before: MembershipRow | undefined): boolean {
  return (
    section.kind === "leave" &&
    before?.membership !== Membership.join &&
    section.state.length === 0 &&
    section.timeline.every((event) => isMemberOf(event, userId))
  );
}

function keepMembership(draft: RoomDraft, userId: UserId, change: MembershipChange): void {
  const { userNid, membership, nid, stripped, isTransition, sinceOrderKey } = change;
  const before = draft.memberships.get(userId);
  draft.writes.memberships.push(change);
  draft.memberships.set(userId, {
    userNid,
    userId,
    room: draft.row.room,
    membership,
    since: isTransition ? undefined : before?.since,
    sinceOrderKey: isTransition ? sinceOrderKey : (sinceOrderKey ?? before?.sinceOrderKey),
    nid,
    stripped,
    heroes: before?.heroes ?? [],
    notifications: before?.notifications ?? 0,
    highlights: before?.highlights ?? 0,
  });
}

function keepPersonal(
  draft: RoomDraft,
  section: ParsedSection,
  { userId }: Source,
  batchOf: (userNid: UserNid) => number,
): void {
  const before = draft.memberships.get(userId);
  const change = before?.membership === Membership.join ? personalChange(section, before) : undefined;
  if (before === undefined || change === undefined) return;
  draft.writes.personal.push({ ...change, batch: batchOf(change.userNid) });
  draft.memberships.set(userId, {
    ...before,
    heroes: change.heroes ?? before.heroes,
    notifications: change.counts?.notifications ?? before.notifications,
    highlights: change.counts?.highlights ?? before.highlights,
  });
}

/** The user's own membership is to be asked for. */
function noteContest(
  draft: RoomDraft,
  { userNid, userId, membership: stored }: Pick<MembershipRow, "userNid" | "userId" | "membership">,
  claimed: ClaimedMembership | undefined,
): void {
  draft.contests.push({ kind: "membership", userNid, userId, roomId: draft.row.roomId, stored, claimed });
}
