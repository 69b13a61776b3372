// What tests of the engine say of events.
import type { UserId } from "../../src/model/ids.ts";
import type { StateEvent } from "../../src/model/stored-event.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import type { Visibility } from "../../src/model/visibility.ts";

export interface EventOptions {
  readonly type?: string;
  readonly stateKey?: string;
  readonly sender?: UserId;
  readonly content?: object;
  readonly visibility?: Visibility;
  readonly tokenBefore?: string;
  readonly tokenAfter?: string;
  /** A state event that stands in no timeline. */
  readonly isOutOfTimeline?: boolean;
}

export interface ReaderMove extends Omit<EventOptions, "type" | "stateKey" | "content"> {
  /** The membership before, as the event says. */
  readonly previous?: "join" | "invite" | "knock";
}

export interface StateChange {
  readonly type: string;
  readonly stateKey: string;
  /** undefined: the key has no value any more. */
  readonly event: StateEvent | undefined;
  readonly position: StreamPosition;
}
