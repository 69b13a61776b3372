import type { ChunkNid, EventId, EventNid, RoomId, UserId, UserNid } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";

/** Fresh numbers, each given out once. */
export interface Numbers {
  batch(): number;
  eventNid(): EventNid;
  chunkNid(): ChunkNid;
}

/** Whose stream a section came with, and what its response can know. */
export interface Source {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceNid: number;
  /** The user ignores somebody, so that their stream attests for themselves alone. */
  readonly ignoresSomebody: boolean;
  /** Whom the user ignores, where that is known. */
  readonly ignored?: ReadonlySet<string> | undefined;
  /**
   * `first`: without a `since`; `catch-up`: after a time without polls; `live`: it tells what happens as it happens; `asked`:
   * no poll, but what the homeserver says of single values now; `history`: no poll, but older events of a room.
   */
  readonly poll: "first" | "catch-up" | "live" | "asked" | "history";
  /** Everything at or below it was stored before the request was sent, so that the response does not say what was before that. */
  readonly storedBefore: StreamPosition;
  /** Everything at or below it the stream had told, or could not tell, before this response: stored before the last request was sent. */
  readonly toldUpTo: StreamPosition | undefined;
  /**
   * Last events that earlier responses of the stream had of rooms, as far as that is known: what goes on follows them. With
   * `history`, the event right before which the older ones end.
   */
  readonly lastSeen: ReadonlyMap<RoomId, EventId>;
  /** Microseconds since 1970. */
  readonly nowUs: number;
}
