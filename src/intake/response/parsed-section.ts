import type { RoomId } from "../../model/ids.ts";
import { type BadEvent, isBad, type ParsedEvent, parseEvent } from "./parse-event.ts";
import type { RoomSection, RoomSummary, SectionKind, UnreadCounts } from "./room-section.ts";

/** A room section with its events checked. */
export interface ParsedSection {
  readonly kind: SectionKind;
  readonly roomId: RoomId;
  readonly timeline: readonly ParsedEvent[];
  readonly state: readonly ParsedEvent[];
  /** `state` holds changes up to the end of the timeline, not before it. */
  readonly isStateAfter: boolean;
  readonly limited: boolean;
  readonly prevBatch: string | undefined;
  readonly stripped: readonly Buffer[];
  readonly summary: RoomSummary | undefined;
  readonly counts: UnreadCounts | undefined;
  readonly ephemeral: readonly Buffer[];
  readonly accountData: readonly Buffer[];
  /** Why the room must be set aside: a state event that cannot be stored. */
  readonly fault: string | undefined;
}

/** Checks the events of a section. Events that cannot be stored are told to `onBadEvent` and left out. */
export function parseSection(section: RoomSection, onBadEvent: (bad: BadEvent) => void): ParsedSection {
  let fault: string | undefined;
  const parse = (raws: readonly Buffer[], isStateList: boolean): ParsedEvent[] => {
    const events: ParsedEvent[] = [];
    for (const raw of raws) {
      const event = parseEvent(raw);
      if (!isBad(event)) {
        if (!isStateList || event.stateKey !== undefined) events.push(event);
        continue;
      }
      onBadEvent(event);
      if (isStateList || event.isState) fault ??= `${event.type ?? "state event"}: ${event.bad}`;
    }
    return events;
  };
  return {
    kind: section.kind,
    roomId: section.roomId,
    timeline: withoutDuplicates(parse(section.timeline, false)),
    state: parse(section.stateAfter ?? section.state, true),
    isStateAfter: section.stateAfter !== undefined,
    limited: section.limited,
    prevBatch: section.prevBatch,
    stripped: section.stripped,
    summary: section.summary,
    counts: section.counts,
    ephemeral: section.ephemeral,
    accountData: section.accountData,
    fault,
  };
}

function withoutDuplicates(events: readonly ParsedEvent[]): readonly ParsedEvent[] {
  const seen = new Set<string>();
  return events.filter(({ eventId }) => !seen.has(eventId) && seen.add(eventId));
}
