import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { MessagesPage, RoomReads } from "../../homeserver/room-reads.ts";
import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { HistoryWant } from "../../model/history-want.ts";
import type { RoomId } from "../../model/ids.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { BadEvent } from "../response/parse-event.ts";
import { type ParsedSection, parseSection } from "../response/parsed-section.ts";
import { emptySection } from "../response/room-section.ts";

/**
 * Pages read for one want. A page may be empty and have others after it, where the homeserver keeps back what its user may not
 * see. More: a page that never ends is read for long. Fewer: what stands behind such events is not found.
 */
const MAX_PAGES = 3;

/**
 * Reads the events right before a token, as a section that begins after something that may be missing. What is older than so
 * many events, or than pages that can be read, is left out. Throws `UpstreamError`, or the reason of the signal.
 */
export async function readHistory(
  rooms: Pick<RoomReads, "messagesBefore">,
  call: ReadCall,
  { roomId, token, events: wanted }: HistoryWant,
  onBadEvent: (bad: BadEvent) => void,
): Promise<ParsedSection> {
  /** Newest first. */
  const read: Buffer[] = [];
  let from: string | undefined = token;
  for (let page = 0; page < MAX_PAGES && from !== undefined && read.length < wanted; page += 1) {
    const limit = wanted - read.length;
    const answer: MessagesPage | undefined = await rooms
      .messagesBefore(call, roomId, { from, limit })
      .catch((error: unknown) => {
        if (read.length === 0) throw error;
        return undefined;
      });
    if (answer === undefined) break;
    read.push(...answer.events.slice(0, limit));
    // More than was asked for: it is not known where the rest would go on.
    from = answer.events.length > limit || answer.end === from ? undefined : answer.end;
  }
  if (!read.every((raw) => isOf(roomId, raw))) {
    throw new UpstreamError("GET /messages: events of another room", { kind: "malformed" });
  }
  const raw = { ...emptySection("join", roomId), timeline: read.toReversed(), stateAfter: [], limited: true };
  const section = parseSection({ ...raw, prevBatch: from === token ? undefined : from }, onBadEvent);
  // State of then that cannot be stored says nothing of the room as it is now.
  return { ...section, fault: undefined };
}

function isOf(roomId: RoomId, raw: Buffer): boolean {
  const event = parseJson(raw);
  return !isJsonObject(event) || event.room_id === undefined || event.room_id === roomId;
}
