import type { EventId, RoomId } from "../../model/ids.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ResponsePart } from "./part.ts";
import { possibleTargets, REDACTION } from "./redaction-target.ts";

/** What must be read to redact. */
interface NamedRedactions {
  /** Events that may be redacted already. */
  readonly events: ReadonlyMap<RoomId, ReadonlySet<EventId>>;
  /** Events that redactions may rewrite, with those that may repeat something of them. Empty where nothing is redacted. */
  readonly rewritable: readonly EventId[];
}

/** The room versions are not known yet, so what a redaction may redact by any of them counts. */
export function namedRedactions(parts: readonly ResponsePart[]): NamedRedactions {
  const events = new Map<RoomId, Set<EventId>>();
  const rewritable = new Set<EventId>();
  for (const { roomId, state, timeline } of parts.flatMap(({ sections }) => sections)) {
    const ofRoom = events.get(roomId) ?? new Set<EventId>();
    events.set(roomId, ofRoom);
    for (const event of state) addEvent(event, ofRoom, rewritable);
    for (const event of timeline) {
      addEvent(event, ofRoom, rewritable);
      for (const target of possibleTargets(event)) {
        ofRoom.add(target);
        rewritable.add(target);
      }
    }
  }
  return { events, rewritable: [...rewritable] };
}

function addEvent(event: ParsedEvent, events: Set<EventId>, rewritable: Set<EventId>): void {
  const { eventId, previous, redactedBy } = event;
  events.add(eventId);
  if (previous) events.add(previous);
  if (redactedBy) events.add(redactedBy);
  if (isRepeated(event)) rewritable.add(eventId);
}

/** Others may hold a copy that has to follow: of a redaction, and of state that comes in redacted form. */
const isRepeated = ({ type, stateKey, redactedBy }: ParsedEvent): boolean =>
  type === REDACTION || (redactedBy !== undefined && stateKey !== undefined);
