import type { RoomNid, UserId } from "../model/ids.ts";
import type { ReadEvent, RoomData } from "../model/room-reads.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import { toldWithoutAnswer } from "./connection/told-after.ts";
import type { SyncPlan } from "./plan.ts";
import type { RoomPlan } from "./rooms/room-plan.ts";

/** What counts as just now. */
export interface HoldWindow {
  /** Where the process was as long ago as a room is kept back at most. */
  readonly after: StreamPosition;
  /** Where it was twice as long ago. */
  readonly longAfter: StreamPosition;
  /** Events that were sent before are history, whenever they were learnt. */
  readonly sentAfterMs: number;
}

interface KeptBack {
  /** Without the rooms that are kept back: what they miss stays owed. */
  readonly plan: SyncPlan;
  /** The first event for which a room is kept back was learnt here; undefined: none is. */
  readonly since: StreamPosition | undefined;
}

/**
 * Keeps rooms back in which stands what the reader has just sent, while it is not known whether from this device. A client takes
 * an event for what it is sending by its transaction id alone, and takes none that comes later: it would show the message twice.
 *
 * And rooms with what has just come with the stream of somebody who ignores others, until a stream brings the same that attests
 * for everybody, as the reader's own does in a moment. Before that something may be missing, and the timeline is cut there.
 *
 * A room is kept back whole, so that its timeline and its state agree.
 */
export function keepBack(plan: SyncPlan, data: ReadonlyMap<RoomNid, RoomData>, window: HoldWindow): KeptBack {
  const rooms: RoomPlan[] = [];
  const missed = new Map(plan.missed);
  let since: StreamPosition | undefined;
  for (const room of plan.rooms) {
    const first = keptBackSince(room, plan, data.get(room.room), window);
    if (first === undefined) {
      rooms.push(room);
      continue;
    }
    since = since === undefined || first < since ? first : since;
    const told = toldWithoutAnswer(room, plan.from ?? BEFORE_ALL);
    if (told !== undefined) missed.set(room.room, told);
  }
  return since === undefined ? { plan, since } : { plan: { ...plan, rooms, missed }, since };
}

/**
 * The position of the oldest event that keeps the room back; undefined: nothing does.
 *
 * Who sends without pause always has an event that is too young. That must not keep the room back for ever, so that one which
 * waited its time frees those after it as well:
 *
 *     learnt   longAfter ─────── after ─────── now
 *                                  a  b            kept back while a or b is unattributed
 *                            a     b  c            free: a waited its time
 *                   a              b  c            kept back: a is new to the client for another reason
 */
function keptBackSince(
  room: RoomPlan,
  plan: SyncPlan,
  data: RoomData | undefined,
  window: HoldWindow,
): StreamPosition | undefined {
  // A departure is told at once.
  if (data === undefined || room.as !== "joined") return undefined;
  const news = data.timeline.filter(
    ({ position }) => position > (room.after ?? BEFORE_ALL) && position > window.longAfter,
  );
  const own = news.filter((event) => isJustSent(event, plan.userId, window));
  const isAttributed = own.every(({ nid }) => data.attributed.has(nid));
  // Who has not been told anything of the room is not told of a hole by it. Who ignores others attests for nobody else.
  const isAttested =
    room.after === undefined || plan.ignored.size > 0 || news.every((event) => isFor(event, data, plan));
  const waiting = [...(isAttributed ? [] : own), ...(isAttested ? [] : news)];
  if (waiting.length === 0) return undefined;
  const first = waiting.reduce((a, b) => (b.position < a.position ? b : a)).position;
  return first > window.after ? first : undefined;
}

/** State is no message that a client would show ahead. */
const isJustSent = (event: ReadEvent, reader: UserId, { sentAfterMs }: HoldWindow): boolean =>
  event.sender === reader && event.stateKey === undefined && event.originServerTsMs > sentAfterMs;

function isFor({ chunk }: ReadEvent, { chunks }: RoomData, { userNid }: SyncPlan): boolean {
  const attestedFor = chunks.get(chunk)?.attestedFor;
  return attestedFor === undefined || attestedFor === userNid;
}
