import type { RoomNid } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import {
  isEqualTold,
  NO_STREAM_TOLD,
  ROOM_STREAMS,
  type RoomStream,
  type StreamsTold,
  type StreamUpTo,
  withStream,
} from "../connection/streams.ts";
import type { AnsweredRooms, PlannedStreams, StreamRoom } from "./room-streams.ts";

type Streams = ReadonlyMap<RoomNid, StreamsTold>;

/** What the client has been told of streams of rooms once it has the answer, where that is new. */
export function streamsAfter(
  planned: PlannedStreams,
  before: Streams,
  from: StreamPosition,
  answered: AnsweredRooms,
): Streams {
  const draft = new StreamsDraft(before);
  for (const stream of ROOM_STREAMS) for (const room of planned[stream].missed) draft.set(room, stream, from);
  for (const [room, { isInitial, isTimelineExpanded }] of answered) {
    // The client begins anew with such a room.
    if (isInitial) draft.reset(room);
    // Unless they are told now, it lacks the receipts on the events that it gets.
    if (isTimelineExpanded) draft.set(room, "receipts", undefined);
  }
  for (const stream of ROOM_STREAMS) {
    for (const due of planned[stream].due) draft.set(due.room, stream, upToAfter(draft, stream, due, from, answered));
  }
  return draft.finish();
}

/** What is kept back with its room is told up to where the answer begins. */
function upToAfter(
  draft: StreamsDraft,
  stream: RoomStream,
  { room, isPlanned, changedAt }: StreamRoom,
  from: StreamPosition,
  answered: AnsweredRooms,
): StreamUpTo {
  if (!isPlanned || answered.has(room)) return "live";
  const upTo = draft.of(room)[stream];
  return upTo === "live" && changedAt > from ? from : upTo;
}

class StreamsDraft {
  readonly #before: Streams;
  readonly #after = new Map<RoomNid, StreamsTold>();

  constructor(before: Streams) {
    this.#before = before;
  }

  of(room: RoomNid): StreamsTold {
    return this.#after.get(room) ?? this.#before.get(room) ?? NO_STREAM_TOLD;
  }

  set(room: RoomNid, stream: RoomStream, upTo: StreamUpTo): void {
    const told = this.of(room);
    const now = withStream(told, stream, upTo);
    if (now !== told) this.#after.set(room, now);
  }

  reset(room: RoomNid): void {
    if (this.#before.has(room)) this.#after.set(room, NO_STREAM_TOLD);
  }

  /** Without what is as before. */
  finish(): Streams {
    for (const [room, told] of this.#after) {
      if (isEqualTold(told, this.#before.get(room) ?? NO_STREAM_TOLD)) this.#after.delete(room);
    }
    return this.#after;
  }
}

/** What the client has been told of what belongs to no room once it has the answer; undefined: as before. */
export function globalAfter(
  before: StreamUpTo,
  now: { readonly isTold: boolean; readonly changedAt: StreamPosition; readonly from: StreamPosition },
): StreamUpTo {
  if (now.isTold) return before === "live" ? undefined : "live";
  return before === "live" && now.changedAt > now.from ? now.from : undefined;
}
