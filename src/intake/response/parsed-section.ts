import type { RoomId } from "../../model/ids.ts";
import { type EphemeralFacts, ephemeralOf } from "./ephemeral-facts.ts";
import { type BadEvent, ENCRYPTION, isBad, type ParsedEvent, parseEvent } from "./parse-event.ts";
import type { AccountDataEvent, RoomSection, RoomSummary, SectionKind, UnreadCounts } from "./room-section.ts";

/** A room section with its events checked. */
export interface ParsedSection {
  readonly kind: SectionKind;
  readonly roomId: RoomId;
  /** Each event once. Empty in an invite or knock, as is `state`. */
  readonly timeline: readonly ParsedEvent[];
  readonly state: readonly ParsedEvent[];
  /** `state` holds changes up to the end of the timeline, not before it. */
  readonly isStateAfter: boolean;
  /** State keys for which the homeserver has no value, as it says when it is asked. */
  readonly absent?: readonly { readonly type: string; readonly stateKey: string }[];
  /** A part of the list of all members, whose reading has this name; they are learnt, not changed. The last part makes it whole. */
  readonly members?: { readonly reading: number; readonly isLast: boolean };
  /** Of a room that its user left: the response has them invited again, or knocking, so that they did that later. */
  readonly isReturning?: boolean;
  readonly limited: boolean;
  /** Stands right before the first event of the timeline. */
  readonly prevBatch: string | undefined;
  readonly stripped: readonly Buffer[];
  readonly summary: RoomSummary | undefined;
  readonly counts: UnreadCounts | undefined;
  readonly ephemeral: EphemeralFacts;
  readonly accountData: readonly AccountDataEvent[];
  /** Why the room must be set aside: a state event that cannot be stored, or too much in all. */
  readonly fault: string | undefined;
  /** An `m.room.encryption` was there, be it one that cannot be stored. */
  readonly isEncrypted: boolean;
  /** What it weighed in the body. */
  readonly bytes: number;
}

/** Checks the events of a section. Events that cannot be stored are told to `onBadEvent` and left out. */
export function parseSection(section: RoomSection, onBadEvent: (bad: BadEvent) => void): ParsedSection {
  const isInside = section.kind === "join" || section.kind === "leave";
  const timeline = parseList(isInside ? section.timeline : [], false, onBadEvent);
  const state = parseList(isInside ? (section.stateAfter ?? section.state) : [], true, onBadEvent);
  return {
    kind: section.kind,
    roomId: section.roomId,
    timeline: withoutDuplicates(timeline.events),
    state: state.events,
    isStateAfter: section.stateAfter !== undefined,
    limited: section.limited,
    prevBatch: timeline.beginsBad ? undefined : section.prevBatch,
    stripped: section.stripped,
    summary: section.summary,
    counts: section.counts,
    ephemeral: ephemeralOf(section.ephemeral),
    accountData: section.accountData,
    fault: section.fault ?? timeline.fault ?? state.fault,
    isEncrypted: timeline.isEncrypted || state.isEncrypted,
    bytes: section.bytes,
  };
}

interface ParsedList {
  readonly events: ParsedEvent[];
  fault: string | undefined;
  isEncrypted: boolean;
  /** The first event cannot be stored. */
  beginsBad: boolean;
}

function parseList(raws: readonly Buffer[], isStateList: boolean, onBadEvent: (bad: BadEvent) => void): ParsedList {
  const list: ParsedList = { events: [], fault: undefined, isEncrypted: false, beginsBad: false };
  raws.forEach((raw, index) => {
    const event = checked(parseEvent(raw), isStateList);
    if (!isBad(event)) {
      list.events.push(event);
      list.isEncrypted ||= event.type === ENCRYPTION && event.stateKey === "";
      return;
    }
    onBadEvent(event);
    if (index === 0) list.beginsBad = true;
    if (!isStateList && !event.isState) return;
    list.fault ??= `${event.type ?? "state event"}: ${event.bad}`;
    list.isEncrypted ||= event.type === ENCRYPTION;
  });
  return list;
}

/** In a list of state an event without a key is none that can be stored. */
function checked(event: ParsedEvent | BadEvent, isStateList: boolean): ParsedEvent | BadEvent {
  if (isBad(event) || !isStateList || event.stateKey !== undefined) return event;
  return { bad: "state_key is missing", type: event.type, isState: true };
}

/** Each event where it came first; of its copies one in redacted form, if there is one, else the first. */
function withoutDuplicates(events: readonly ParsedEvent[]): readonly ParsedEvent[] {
  const kept = new Map<string, ParsedEvent>();
  for (const event of events) {
    const known = kept.get(event.eventId);
    const isBetter = known?.redactedBy === undefined && event.redactedBy !== undefined;
    if (known === undefined || isBetter) kept.set(event.eventId, event);
  }
  return [...kept.values()];
}
