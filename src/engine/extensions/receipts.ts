import type { ReadReceipt, ReceiptReads } from "../../model/extension-reads.ts";
import type { EventId, RoomId } from "../../model/ids.ts";
import type { ExtensionScope } from "../request.ts";
import type { ReceiptsAnswer, ShownReceipt } from "../response.ts";
import { cutOf } from "../rooms/room-cut.ts";
import type { RoomPlan } from "../rooms/room-plan.ts";
import { isVisible } from "../rooms/timeline.ts";
import type { ReaderView } from "../view.ts";
import type { Extension, RoomsRead } from "./extension.ts";
import { type PlannedStream, type StreamRoom, toldRooms } from "./room-streams.ts";

const PRIVATE = "m.read.private";

/**
 * Receipts in rooms that the reader is in (MSC3960, MSC4551). First the reader's own, and those on the events that the client
 * gets, or has; then every new one.
 */
export const receipts: Extension<ExtensionScope, ReceiptsAnswer> = (_scope, { view, streams }) => {
  const planned = streams.receipts;
  return {
    reads: (rooms) => {
      const reads = readsOf(planned, rooms);
      return Object.values(reads).every(({ length }) => length === 0) ? {} : { receipts: reads };
    },
    say: ({ receipts: read }, answered) => {
      const told = new Map(toldRooms(planned, answered).map((each) => [each.room, each]));
      const rooms = new Map<RoomId, readonly ShownReceipt[]>();
      for (const [room, own] of Map.groupBy(read, (each) => each.room)) {
        const due = told.get(room);
        const shown = due === undefined ? [] : unambiguous(own.filter((receipt) => mayShow(receipt, due, view)));
        if (due !== undefined && shown.length > 0) rooms.set(due.roomId, shown);
      }
      return { answer: { rooms }, isNews: rooms.size > 0 };
    },
  };
};

function readsOf(planned: PlannedStream, rooms: RoomsRead): ReceiptReads {
  const told = toldRooms(planned, rooms.answered);
  const isFirst = ({ after }: StreamRoom) => after === undefined;
  return {
    own: told.filter(isFirst).map(({ room }) => room),
    onEvents: told.flatMap((due) => eventsSent(due, rooms).map((eventId) => ({ room: due.room, eventId }))),
    onNewest: told.flatMap((due) => {
      const events = isFirst(due) ? (due.told?.timelineLimit ?? 0) : 0;
      return events === 0 ? [] : [{ room: due.room, events }];
    }),
    // A room may be here for the events of its timeline alone.
    changed: told.flatMap(({ room, after, changedAt }) =>
      after === undefined || changedAt <= after ? [] : [{ room, after }],
    ),
  };
}

/** Events of this answer on which there may be receipts that the client was not told of with any change. */
function eventsSent(due: StreamRoom, { answering, answered, data }: RoomsRead): readonly EventId[] {
  const plan = answered.get(due.room);
  const roomData = data.get(due.room);
  if (plan === undefined || roomData === undefined || !bringsOlder(plan)) return [];
  try {
    return cutOf(answering, plan, roomData)?.events.map(({ eventId }) => eventId) ?? [];
  } catch {
    // Such a room fails in assembling too, where it is named; it must not fail the others.
    return [];
  }
}

const bringsOlder = ({ isInitial, isTimelineExpanded }: RoomPlan): boolean => isInitial || isTimelineExpanded;

/**
 * A receipt tells of an event. On one that is stored, it is shown to who may see that; of another one nothing is known here but
 * its id, which homeservers tell all members.
 */
function mayShow({ userId, type, event }: ReadReceipt, { sinceOrderKey }: StreamRoom, view: ReaderView): boolean {
  if (userId === view.userId) return true;
  if (type === PRIVATE || view.own.ignored.has(userId)) return false;
  if (event === undefined) return true;
  // State that nobody knows the place of may be older than the reader's stay.
  const { visibility, orderKey = BEFORE_ALL_EVENTS } = event;
  return isVisible({ visibility, orderKey }, { isJoined: true, sinceOrderKey });
}

const BEFORE_ALL_EVENTS = Number.NEGATIVE_INFINITY;

/** The wire has room for one of an event, a type and a user: the one of the whole room, where there is one (MSC4102). */
function unambiguous(all: readonly ReadReceipt[]): readonly ShownReceipt[] {
  const chosen = new Map<string, ReadReceipt>();
  for (const receipt of all) {
    const key = JSON.stringify([receipt.eventId, receipt.type, receipt.userId]);
    const known = chosen.get(key);
    if (known === undefined || isStronger(receipt, known)) chosen.set(key, receipt);
  }
  return [...chosen.values()].map(({ eventId, type, userId, tsMs, threadId }) => ({
    eventId,
    type,
    userId,
    tsMs,
    threadId: threadId === "" ? undefined : threadId,
  }));
}

const isStronger = (receipt: ReadReceipt, known: ReadReceipt): boolean =>
  known.threadId !== "" && (receipt.threadId === "" || receipt.tsMs > known.tsMs);
