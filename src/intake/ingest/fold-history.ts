import { ChangeFlag, ChangeStream } from "../../model/change.ts";
import type { Visibility } from "../../model/visibility.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { foldOthers } from "./fold-section.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers, Source } from "./source.ts";

/**
 * Folds older events of a room into its draft. They say nothing of how the room is now: no state, no membership, no count, no
 * place in lists. Only departures that end a stay act. Of a room that is not whole, or set aside, nothing is taken.
 */
export function foldHistory(
  draft: RoomDraft,
  section: ParsedSection,
  source: Source,
  after: Visibility,
  numbers: Numbers,
): readonly NewChange[] {
  const { room, isComplete, quarantined } = draft.row;
  if (!isComplete || quarantined !== undefined) return [];
  const { batch, flags } = draft.applyHistory(section, source, after);
  if (flags === 0) return [];
  const changes: NewChange[] = [{ batch, stream: ChangeStream.room, room, flags }];
  foldOthers(draft, section, source, (userNid) => {
    const own = numbers.batch();
    changes.push({ batch: own, stream: ChangeStream.membership, room, userNid, flags: ChangeFlag.columns });
    return own;
  });
  return changes;
}
