import { ChangeStream } from "../../model/change.ts";
import type { RoomId } from "../../model/ids.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ResponseToken } from "../../store/response-tokens.ts";
import { type AccountDatum, GLOBAL, type Receipt, type Typing } from "../../store/user-facts.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { foldSection } from "./fold-section.ts";
import type { ResponsePart } from "./part.ts";
import { ephemeralOf } from "./personal-facts.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";

/** What parts bring beside what their rooms' drafts hold. */
export interface FoldedParts {
  /** To be published whatever the database says. */
  readonly changes: NewChange[];
  /** To be published where the database finds that their batch changed something. */
  readonly offered: NewChange[];
  readonly tokens: ResponseToken[];
  readonly accountData: AccountDatum[];
  readonly receipts: Receipt[];
  readonly typing: Typing[];
}

/** Folds the rooms of all parts into their drafts. Pure but for these. */
export function foldParts(
  parts: readonly ResponsePart[],
  drafts: ReadonlyMap<RoomId, RoomDraft>,
  numbers: Numbers,
): FoldedParts {
  const folded: FoldedParts = { changes: [], offered: [], tokens: [], accountData: [], receipts: [], typing: [] };
  for (const part of parts) {
    foldRooms(part, drafts, numbers, folded);
    if (part.end !== undefined) foldGlobal(part, part.end.rest.accountData, numbers, folded);
  }
  return folded;
}

/** Oldest activity first: of rooms in one response, the one with the newest event comes first in lists. */
function foldRooms(
  part: ResponsePart,
  drafts: ReadonlyMap<RoomId, RoomDraft>,
  numbers: Numbers,
  folded: FoldedParts,
): void {
  const { source, token, end } = part;
  const shared = end === undefined ? numbers.batch() : undefined;
  const sections = [...part.sections].sort((a, b) => newestTsMs(a) - newestTsMs(b));
  for (const section of sections) {
    const draft = drafts.get(section.roomId);
    if (draft === undefined) continue;
    const { changes, roomBatch } = foldSection(draft, section, source, numbers, shared);
    folded.changes.push(...changes);
    if (roomBatch !== undefined && token !== undefined) folded.tokens.push({ batch: roomBatch, token });
    offerPersonal(part, section, draft, numbers, folded);
  }
  if (shared !== undefined) {
    const { userNid } = source;
    folded.changes.push({ batch: shared, stream: ChangeStream.membership, userNid, flags: 0 });
  }
}

const newestTsMs = ({ timeline }: ParsedSection): number =>
  timeline.reduce((newest, event) => Math.max(newest, event.originServerTsMs), 0);

/** Account data, receipts and typing of one room. */
function offerPersonal(
  { source }: ResponsePart,
  section: ParsedSection,
  { row: { room } }: RoomDraft,
  numbers: Numbers,
  folded: FoldedParts,
): void {
  const { userNid, storedBefore } = source;
  const { receipts, typing } = ephemeralOf(room, section.ephemeral);
  if (section.accountData.length > 0) {
    const batch = numbers.batch();
    folded.offered.push({ batch, stream: ChangeStream.accountData, room, userNid, flags: 0 });
    for (const event of section.accountData) folded.accountData.push({ userNid, room, ...event, batch, storedBefore });
  }
  if (receipts.length > 0) {
    const batch = numbers.batch();
    folded.offered.push({ batch, stream: ChangeStream.receipts, room, flags: 0 });
    for (const receipt of receipts) folded.receipts.push({ ...receipt, batch });
  }
  if (typing !== undefined) {
    const batch = numbers.batch();
    folded.offered.push({ batch, stream: ChangeStream.typing, room, flags: 0 });
    folded.typing.push({ ...typing, batch });
  }
}

function foldGlobal(
  { source }: ResponsePart,
  events: readonly Pick<AccountDatum, "type" | "body">[],
  numbers: Numbers,
  folded: FoldedParts,
): void {
  if (events.length === 0) return;
  const { userNid, storedBefore } = source;
  const batch = numbers.batch();
  folded.offered.push({ batch, stream: ChangeStream.accountData, userNid, flags: 0 });
  for (const event of events) folded.accountData.push({ userNid, room: GLOBAL, ...event, batch, storedBefore });
}
