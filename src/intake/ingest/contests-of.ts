import { stateKeyOf } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { Contest } from "./contest.ts";
import type { SectionFold } from "./section-fold.ts";

const MEMBER = "m.room.member";

/**
 * What a section that was folded leaves to be asked: where its timeline stands, state keys of which it says what it cannot know,
 * and member events that its timeline needs and that nobody brought. `isStored`: whether a value is known for a `stateKeyOf`.
 */
export function contestsOf(fold: SectionFold, row: RoomRow, isStored: (key: string) => boolean): readonly Contest[] {
  const { section, source } = fold;
  const { userNid, userId } = source;
  const timeline = { kind: "timeline", userNid, userId, roomId: row.roomId } as const;
  const timelines = fold.isOvertaken ? [timeline] : [];
  // Who left can ask for no more than what was current when they left.
  if (section.kind !== "join" || !row.isComplete) return timelines;
  const asked = { kind: "state", userNid, userId, roomId: row.roomId } as const;
  const missing = source.poll === "asked" ? [] : missingMembers(section.timeline, isStored);
  return [
    ...timelines,
    ...[...fold.contested.values()].map((key) => ({ ...asked, ...key, isMissing: false })),
    ...missing.map((stateKey) => ({ ...asked, type: MEMBER, stateKey, isMissing: true })),
  ];
}

/** Senders, and those of whom member events tell. */
function missingMembers(timeline: readonly ParsedEvent[], isStored: (key: string) => boolean): readonly string[] {
  const members = new Set<string>();
  for (const { type, stateKey, sender } of timeline) {
    members.add(sender);
    if (type === MEMBER && stateKey !== undefined) members.add(stateKey);
  }
  return [...members].filter((userId) => !isStored(stateKeyOf(MEMBER, userId)));
}
