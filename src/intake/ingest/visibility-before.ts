import type { RoomRow } from "../../model/room-row.ts";
import { Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import { replacedVisibility } from "./replaced-visibility.ts";
import type { SectionFold } from "./section-fold.ts";
import { isCreation, isVisibilityEvent } from "./state-claim.ts";

/**
 * History visibility in force before the first event of a section's timeline. With `state_after` the value before a change is
 * not always told. `row`: the room before the section; `isCurrent`: whether a state event is current before it.
 */
export function visibilityBefore(
  { section, source, isBaseline }: SectionFold,
  row: RoomRow,
  isCurrent: (event: ParsedEvent) => boolean,
): Visibility {
  const replaced = replacedVisibility(section.timeline);
  if (replaced !== undefined) return replaced;
  const stated = section.state.findLast(isVisibilityEvent);
  const statedValue = stated && visibilityOf(stated.content.history_visibility);
  const known = isBaseline ? Visibility.shared : row.historyVisibility;
  if (!section.isStateAfter) return statedValue ?? known;
  const isChangedInside = section.timeline.some(isVisibilityEvent);
  // Its state is what was asked for.
  if (source.poll === "asked") return isChangedInside || isBaseline ? Visibility.unknown : known;
  if (isBaseline && !isChangedInside) return statedValue ?? known;
  if (isBaseline) return isCreation(section.timeline[0]) ? known : Visibility.unknown;
  const isToldWhen = stated === undefined || isCurrent(stated) || (isChangedInside && !section.limited);
  return isToldWhen ? known : Visibility.unknown;
}
