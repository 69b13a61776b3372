import type { EventId, RoomId, RoomNid } from "./ids.ts";
import type { Visibility } from "./visibility.ts";

/** Older events of a room that a reader asks for and that are not stored: what stands before a hole. */
export interface HistoryWant {
  readonly room: RoomNid;
  readonly roomId: RoomId;
  /** `/messages?dir=b&from=` this leads to the hole. */
  readonly token: string;
  /** The stored event right before which the token stands; undefined: it stands somewhere at or after the hole. */
  readonly anchor: EventId | undefined;
  /** Of history, in force before the event after the hole. */
  readonly visibility: Visibility;
  /** How many events to ask for; those included that stand between the hole and the token. */
  readonly events: number;
}
