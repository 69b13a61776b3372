import { ChangeStream } from "../../model/change.ts";
import type { RoomId, RoomNid } from "../../model/ids.ts";
import type { NewChange } from "../../store/publish.ts";
import type { ResponseToken } from "../../store/response-tokens.ts";
import { GLOBAL } from "../../store/user-facts.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import { foldHistory } from "./fold-history.ts";
import { foldRecalled } from "./fold-recalled.ts";
import { foldSection } from "./fold-section.ts";
import type { AskedDatum, ResponsePart } from "./part.ts";
import type { PersonalDraft } from "./personal-draft.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";

/** What the parts of one transaction touch, as it was before. */
export interface Drafts {
  readonly rooms: ReadonlyMap<RoomId, RoomDraft>;
  readonly personal: PersonalDraft;
}

/** What parts bring beside what the drafts hold. */
export interface FoldedParts {
  /** To be published. */
  readonly changes: NewChange[];
  readonly tokens: ResponseToken[];
}

/** Folds all parts into the drafts. Pure but for these. */
export function foldParts(parts: readonly ResponsePart[], drafts: Drafts, numbers: Numbers): FoldedParts {
  const folded: FoldedParts = { changes: [], tokens: [] };
  for (const part of parts) {
    foldRooms(part, drafts, numbers, folded);
    if (part.end !== undefined) drafts.personal.accountData(GLOBAL, part.end.rest.accountData, part.source);
    for (const datum of part.asked ?? []) foldAsked(datum, part, drafts);
  }
  folded.changes.push(...drafts.personal.changes);
  return folded;
}

/** What says nothing of rooms as they are. undefined: the part holds what does. */
function foldPast(
  { source, token, sections, history, isRecalled }: ResponsePart,
  rooms: Drafts["rooms"],
  numbers: Numbers,
): readonly NewChange[] | undefined {
  if (history === undefined && isRecalled !== true) return undefined;
  return sections.flatMap((section) => {
    const draft = rooms.get(section.roomId);
    if (draft === undefined) return [];
    if (history === undefined) return foldRecalled(draft, section, source, { numbers, token });
    return foldHistory(draft, section, source, history.visibility, numbers);
  });
}

/** Oldest activity first: of rooms in one response, the one with the newest event comes first in lists. */
function foldRooms(part: ResponsePart, { rooms, personal }: Drafts, numbers: Numbers, folded: FoldedParts): void {
  const past = foldPast(part, rooms, numbers);
  if (past !== undefined) {
    folded.changes.push(...past);
    return;
  }
  const { source, token, end, sections, asked } = part;
  const { userNid } = source;
  let isSentKnown = false;
  const sharing = new Set<RoomNid>();
  const shared = end === undefined && asked === undefined ? numbers.batch() : undefined;
  for (const section of inTime(sections)) {
    const draft = rooms.get(section.roomId);
    if (draft === undefined) continue;
    const { changes, roomBatch, hasSent, isShared } = foldSection(draft, section, source, numbers, shared);
    folded.changes.push(...changes);
    isSentKnown ||= hasSent;
    if (isShared) sharing.add(draft.row.room);
    if (roomBatch !== undefined && token !== undefined) folded.tokens.push({ batch: roomBatch, token });
    personal.accountData(draft.row.room, section.accountData, source, section.roomId);
    personal.ephemeral(draft.row.room, section.ephemeral);
  }
  if (isSentKnown) folded.changes.push({ batch: numbers.batch(), stream: ChangeStream.sent, userNid, flags: 0 });
  if (shared !== undefined && sharing.size > 0) {
    folded.changes.push({ batch: shared, stream: ChangeStream.membership, userNid, rooms: [...sharing], flags: 0 });
  }
}

function foldAsked({ roomId, event }: AskedDatum, { source }: ResponsePart, { rooms, personal }: Drafts): void {
  const room = roomId === undefined ? GLOBAL : rooms.get(roomId)?.row.room;
  if (room !== undefined) personal.accountData(room, [event], source, roomId);
}

/** Departures first: a user who left and was invited again meanwhile, or knocked, stands in a response twice. */
function inTime(sections: readonly ParsedSection[]): readonly ParsedSection[] {
  const departures = sections.filter(({ kind }) => kind === "leave");
  const others = sections.filter(({ kind }) => kind !== "leave").toSorted(byTime);
  const entered = new Set(departures.length > 0 ? others.map(({ roomId }) => roomId) : []);
  const marked = departures.map((each) => (entered.has(each.roomId) ? { ...each, isReturning: true } : each));
  return [...marked.toSorted(byTime), ...others];
}

const byTime = (a: ParsedSection, b: ParsedSection): number => newestTsMs(a) - newestTsMs(b);

const newestTsMs = ({ timeline }: ParsedSection): number =>
  timeline.reduce((newest, event) => Math.max(newest, event.originServerTsMs), 0);
