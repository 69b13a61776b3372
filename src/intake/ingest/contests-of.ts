import { stateKeyOf } from "../../model/room-facts.ts";
import type { RoomRow } from "../../model/room-row.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { OpenQuestion, Suspicion } from "./contest.ts";
import type { SectionFold } from "./section-fold.ts";

const MEMBER = "m.room.member";

interface Known {
  /** Whether a value is known for a `stateKeyOf`. */
  readonly isStored: (key: string) => boolean;
  /** The user was in the room before the section, so that it goes on from there. */
  readonly wasJoined: boolean;
  /** See `RoomEnd`; before the section. */
  readonly isFollowed: boolean;
}

/**
 * What a section that was folded leaves to be asked: where its timeline stands, state keys of which it says what it cannot know,
 * member events that its timeline needs and that nobody brought, and all of the state where the section cannot have told it.
 */
export function contestsOf(fold: SectionFold, row: RoomRow, known: Known): readonly OpenQuestion[] {
  const { section, source } = fold;
  const { userNid, userId } = source;
  const timeline = { kind: "timeline", userNid, userId, roomId: row.roomId } as const;
  const timelines = fold.isOvertaken ? [timeline] : [];
  // Who left can ask for no more than what was current when they left.
  if (section.kind !== "join" || !row.isComplete) return timelines;
  const asked = { kind: "state", userNid, userId, roomId: row.roomId } as const;
  const missing = source.poll === "asked" ? [] : missingMembers(section.timeline, known.isStored);
  const suspicion: Suspicion = { kind: "room-state", userNid, userId, roomId: row.roomId };
  return [
    ...timelines,
    ...(leavesStateOpen(fold, known) ? [suspicion] : []),
    ...[...fold.contested.values()].map((key) => ({ ...asked, ...key, isMissing: false })),
    ...missing.map((stateKey) => ({ ...asked, type: MEMBER, stateKey, isMissing: true })),
  ];
}

/**
 * After a hole `state` says what was set before the timeline. What lost state resolution meanwhile, and what was taken away, it
 * does not. Who comes in is told all state, but of members only those that the timeline needs: what became of others while
 * nobody was there to be told, nobody says.
 */
function leavesStateOpen(fold: SectionFold, { wasJoined, isFollowed }: Known): boolean {
  const { section, source, isBaseline } = fold;
  if (isBaseline || source.poll === "asked" || source.poll === "history") return false;
  if (!wasJoined) return !isFollowed;
  return section.limited && !section.isStateAfter && source.poll !== "first";
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
