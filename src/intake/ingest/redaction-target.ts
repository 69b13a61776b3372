import { type EventId, storableEventId } from "../../model/ids.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import { redactionRulesOf } from "./redacted-body.ts";

export const REDACTION = "m.room.redaction";

type Redaction = Pick<ParsedEvent, "eventId" | "type" | "content" | "redacts">;

/** The room version in which `redacts` moved into the content. What stands in the other place, anybody may have written. */
const FIRST_WITH_CONTENT = 11;
const OLDEST_VERSION = "1";

/**
 * What a redaction redacts; undefined: the event is none, names itself, or no event id. While the room's version is not known,
 * both places count.
 */
export function redactionTarget(event: Redaction, version: string | undefined): EventId | undefined {
  const target = namedBy(event, version);
  return event.type !== REDACTION || target === event.eventId ? undefined : target;
}

function namedBy({ content, redacts }: Redaction, version: string | undefined): EventId | undefined {
  if (redactionRulesOf(version) < FIRST_WITH_CONTENT) return redacts;
  return storableEventId(content.redacts) ?? (version === undefined ? redacts : undefined);
}

/** What it may redact by any room version. */
export const possibleTargets = (event: Redaction): readonly EventId[] =>
  [OLDEST_VERSION, undefined].flatMap((version) => redactionTarget(event, version) ?? []);
