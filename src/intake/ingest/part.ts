import type { RoomId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { Visibility } from "../../model/visibility.ts";
import type { DeviceClaim } from "../../store/device-stream.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { ResponseRest } from "../response/response-reader.ts";
import type { AccountDataEvent } from "../response/room-section.ts";
import type { Source } from "./source.ts";

/** What ends a response: everything that is not a room, and where the stream goes on. */
export interface ResponseEnd {
  readonly rest: ResponseRest;
  readonly since: { readonly from: string | undefined; readonly to: string };
  /** undefined: the response need not have all rooms of its user. */
  readonly whole: WholeResponse | undefined;
}

/** A response that has all rooms of its user: one without a `since`, with nothing filtered. */
export interface WholeResponse {
  readonly named: ReadonlySet<RoomId>;
  /** Everything at or below it was stored before this request was sent, be it the first of its kind or not. */
  readonly askedAfter: StreamPosition;
}

/** Account data that the homeserver was asked for; undefined room: it belongs to none. */
export interface AskedDatum {
  readonly roomId: RoomId | undefined;
  readonly event: AccountDataEvent;
}

/** Whole rooms of one v2 response, stored in one transaction. Safe to repeat. */
export interface ResponsePart {
  readonly claim: DeviceClaim;
  readonly source: Source;
  readonly sections: readonly ParsedSection[];
  /** `next_batch`, where it was read before the rooms. */
  readonly token: string | undefined;
  /** undefined: more parts follow. */
  readonly end: ResponseEnd | undefined;
  /** When the last byte of the response was read, in microseconds; undefined while it is still arriving. */
  readonly receivedUs: number | undefined;
  /** The part holds answers to single questions (`source.poll` is `asked`), these among them. */
  readonly asked?: readonly AskedDatum[];
  /** The part holds older events of rooms (`source.poll` is `history`): in force after the last of them. */
  readonly history?: { readonly visibility: Visibility };
  /** The part holds rooms as its user left them, long ago: they say nothing of the rooms as they are. */
  readonly isRecalled?: true;
}
