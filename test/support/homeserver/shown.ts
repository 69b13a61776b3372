import type { Membership, StoredEvent } from "./event.ts";
import type { JsonObject } from "./json.ts";

/**
 * An event as it was when it was read for somebody. A redaction that comes later does not reach into it: an answer
 * that is given again from a cache still has the old content.
 */
export interface Shown {
  readonly event: StoredEvent;
  /** The reader's membership at the event (MSC4115); told in timelines only. */
  readonly membership: Membership | undefined;
  readonly content: JsonObject;
  readonly redactedBecause: StoredEvent | undefined;
  readonly bundle: Bundle | undefined;
}

/** What Synapse says of the events that relate to one, in `m.relations`. */
export interface Bundle {
  readonly references: readonly string[];
  readonly edit: Shown | undefined;
  readonly thread: { readonly latest: Shown; readonly count: number; readonly hasReaderIn: boolean } | undefined;
}

export function shownAs(event: StoredEvent, membership?: Membership): Shown {
  const { content, redactedBecause } = event;
  return { event, membership, content, redactedBecause, bundle: undefined };
}
