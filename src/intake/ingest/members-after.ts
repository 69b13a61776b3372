import type { RoomRow } from "../../model/room-row.ts";
import type { SectionFold } from "./section-fold.ts";
import { isCreation } from "./state-claim.ts";

type Members = Pick<RoomRow, "membersBatch" | "membersReading">;

/**
 * Whether all members are known after a section. Streams bring lazily those that their timelines need, but every change: so
 * that a list of all of them stays whole until a hole, in which changes may be missing. A room that is told from its creation on
 * has all its members.
 */
export function membersAfter(fold: SectionFold, row: RoomRow): Members {
  const { section, batch, isBaseline } = fold;
  const { membersBatch, membersReading } = row;
  if (section.members !== undefined) {
    const isStill = section.members.reading === membersReading;
    if (!section.members.isLast || !isStill) return { membersBatch, membersReading };
    return { membersBatch: membersBatch ?? batch, membersReading: undefined };
  }
  if (section.kind !== "join") return { membersBatch, membersReading };
  if (isBaseline && !section.limited && isCreation(section.timeline[0])) return { membersBatch: batch, membersReading };
  return section.limited && fold.hasHole
    ? { membersBatch: undefined, membersReading: undefined }
    : { membersBatch, membersReading };
}
