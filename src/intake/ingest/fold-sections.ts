import { ChangeFlag, ChangeStream } from "../../model/change.ts";
import type { UserNid } from "../../model/ids.ts";
import type { MembershipChange, MembershipRow } from "../../model/room-facts.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { departuresOfOthers, ownMembership, personalChange } from "./own-membership.ts";
import type { Numbers, RoomDraft, Source } from "./room-draft.ts";

/** A section folded into its room's draft, with the changes to be published. */
export interface FoldedSection {
  readonly changes: readonly NewChange[];
  /** The batch of the room's events, when there are any. */
  readonly roomBatch: number | undefined;
  /** Time of the newest event, milliseconds: of rooms in one response, the one with the newest event comes first in lists. */
  readonly newestTsMs: number;
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
  const result = draft.apply(section, source);
  const changes: NewChange[] = [];
  if (result.flags !== 0) changes.push({ batch: result.batch, stream: ChangeStream.room, room, flags: result.flags });

  const ofUser = (userNid: UserNid): number => {
    if (sharedBatch !== undefined && userNid === source.userNid) return sharedBatch;
    const batch = numbers.batch();
    changes.push({ batch, stream: ChangeStream.membership, room, userNid, flags: ChangeFlag.columns });
    return batch;
  };
  const own = ownMembership(draft, section, source, before);
  if (own !== undefined) keep(draft, { ...own, batch: ofUser(own.userNid) }, before, source);
  for (const change of departuresOfOthers(draft, section, source)) {
    const other = [...draft.memberships.values()].find(({ userNid }) => userNid === change.userNid);
    keep(draft, { ...change, batch: ofUser(change.userNid) }, other, source);
  }
  if (section.kind === "join") {
    const current = draft.memberships.get(source.userId);
    const personal = personalChange(section, source, current);
    if (personal !== undefined) {
      draft.writes.personal.push({ ...personal, batch: ofUser(source.userNid) });
      if (current !== undefined) {
        draft.memberships.set(source.userId, {
          ...current,
          heroes: personal.heroes ?? current.heroes,
          notifications: personal.counts?.notifications ?? current.notifications,
          highlights: personal.counts?.highlights ?? current.highlights,
        });
      }
    }
  }
  const newestTsMs = section.timeline.reduce((newest, event) => Math.max(newest, event.originServerTsMs), 0);
  return { changes, roomBatch: result.flags === 0 ? undefined : result.batch, newestTsMs };
}

function keep(draft: RoomDraft, change: MembershipChange, before: MembershipRow | undefined, source: Source): void {
  draft.writes.memberships.push(change);
  const userId = before?.userId ?? source.userId;
  draft.memberships.set(userId, {
    userNid: change.userNid,
    userId,
    room: draft.row.room,
    membership: change.membership,
    nid: change.nid,
    heroes: before?.heroes ?? [],
    notifications: before?.notifications ?? 0,
    highlights: before?.highlights ?? 0,
  });
}
