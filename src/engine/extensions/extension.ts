import type { ExtensionData, ExtensionReads } from "../../model/extension-reads.ts";
import type { RoomNid } from "../../model/ids.ts";
import type { RoomData } from "../../model/room-reads.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { StreamUpTo } from "../connection/streams.ts";
import type { Answering } from "../rooms/room-plan.ts";
import type { ReaderView } from "../view.ts";
import type { AnsweredRooms, PlannedStreams } from "./room-streams.ts";

/** What extensions are planned from. */
export interface ExtensionInput {
  readonly view: ReaderView;
  /** undefined on a first request. */
  readonly from: StreamPosition | undefined;
  /** What was told of account data that belongs to no room. */
  readonly accountDataTold: StreamUpTo;
  readonly streams: PlannedStreams;
}

/** What is known once the rooms were read, before anything is said of them. */
export interface RoomsRead {
  readonly answering: Answering;
  readonly answered: AnsweredRooms;
  readonly data: ReadonlyMap<RoomNid, RoomData>;
}

/** What an extension says in one answer. */
export interface Said<Answer> {
  readonly answer: Answer;
  /** A waiting client should be answered now. */
  readonly isNews: boolean;
}

/** An extension that is asked for, in one answer. */
export interface PlannedExtension<Answer> {
  /** What it needs, which may depend on what the answer says of rooms. */
  reads(rooms: RoomsRead): ExtensionReads;
  /** Says what was read. `answered`: fewer rooms than were read, where one could not be rendered. */
  say(data: ExtensionData, answered: AnsweredRooms): Said<Answer>;
}

/** One extension of the answer (MSC3575 "Extensions"). Pure: memory says what has to be read, and that what is to be told. */
export type Extension<Asked, Answer> = (asked: Asked, input: ExtensionInput) => PlannedExtension<Answer>;
