import type { EventId, EventNid } from "./ids.ts";

/** That an event is redacted. */
export interface KnownRedaction {
  /** Event id of the redaction; `""`: the homeserver did not say. */
  readonly redaction: EventId | "";
  /** Its body, where it is stored. */
  readonly body: Buffer | undefined;
}

/** What a redaction may change of an event. */
export interface EventText {
  readonly type: string;
  readonly stateKey: string | undefined;
  readonly body: Buffer;
  readonly unsigned: Buffer | undefined;
  /** The state event before it, whose content `unsigned` repeats. */
  readonly previous: EventId | undefined;
}

/** The text of a stored event. */
export interface StoredText extends EventText {
  readonly nid: EventNid;
  /** It is current state. */
  readonly isCurrent: boolean;
  /** What redacted it: a redaction's event id, or `""` where that was not said. undefined: it is whole. */
  readonly redaction: EventId | "" | undefined;
}
