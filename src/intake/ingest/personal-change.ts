import type { MembershipRow, PersonalChange } from "../../model/room-facts.ts";
import type { ParsedSection } from "../response/parsed-section.ts";

/** Heroes and unread counts, when they differ from what is stored. */
export function personalChange(
  { summary, counts }: ParsedSection,
  before: MembershipRow,
): Omit<PersonalChange, "batch"> | undefined {
  const heroes = summary?.heroes;
  const hasHeroes = heroes !== undefined && heroes.join("\0") !== before.heroes.join("\0");
  const hasCounts =
    counts !== undefined && (counts.notifications !== before.notifications || counts.highlights !== before.highlights);
  if (!hasHeroes && !hasCounts) return undefined;
  return {
    userNid: before.userNid,
    heroes: hasHeroes ? heroes : undefined,
    counts: hasCounts ? counts : undefined,
  };
}
