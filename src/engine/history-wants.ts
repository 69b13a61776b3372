import type { HistoryWant } from "../model/history-want.ts";
import type { RoomNid } from "../model/ids.ts";
import type { ReadEvent, RoomData } from "../model/room-reads.ts";
import { Visibility } from "../model/visibility.ts";
import type { SyncPlan } from "./plan.ts";
import { cutOf } from "./rooms/room-cut.ts";
import type { RoomPlan } from "./rooms/room-plan.ts";
import { nearestToken } from "./rooms/timeline.ts";

/** Rooms of one answer whose history is asked for; the most recent. More: a client that subscribes to all its rooms strains the homeserver. */
const MAX_WANTS = 10;

/**
 * What the homeserver could add to timelines of rooms that are subscribed to: more is asked of them than is stored without a
 * hole. Lists are no reason: their windows would ask for many rooms at once, of which they show one event each.
 */
export function historyWants(plan: SyncPlan, data: ReadonlyMap<RoomNid, RoomData>): readonly HistoryWant[] {
  if (plan.subscribed.size === 0) return [];
  const wants = plan.rooms.flatMap((room) => {
    const roomData = data.get(room.room);
    return roomData === undefined ? [] : (wantOrNone(plan, room, roomData) ?? []);
  });
  return wants.slice(0, MAX_WANTS);
}

/** A room that fails here fails in assembling too, where it is named; it must not fail the others. */
function wantOrNone(plan: SyncPlan, room: RoomPlan, data: RoomData): HistoryWant | undefined {
  try {
    return wantOf(plan, room, data);
  } catch {
    return undefined;
  }
}

function wantOf(plan: SyncPlan, room: RoomPlan, data: RoomData): HistoryWant | undefined {
  const limit = plan.subscribed.get(room.roomId)?.timelineLimit ?? 0;
  if (room.as !== "joined" || limit === 0) return undefined;
  const cut = cutOf(plan, room, data);
  if (cut?.hole === undefined || cut.events.length >= limit || !canBeFilled(cut.hole, plan, data)) return undefined;
  const { eventId, visibility } = cut.hole;
  const events = data.timeline.slice(data.timeline.findIndex((event) => event.eventId === eventId));
  const nearest = nearestToken(events);
  if (nearest === undefined) return undefined;
  const { token, at, isBefore } = nearest;
  return {
    room: room.room,
    roomId: room.roomId,
    token,
    anchor: isBefore ? events[at]?.eventId : undefined,
    visibility,
    events: limit - cut.events.length + at + (isBefore ? 0 : 1),
  };
}

/**
 * Only what all members may see is brought in: of other history nobody here can tell whom it was shown to. And what the
 * homeserver keeps back of those whom the reader ignores is no reason to show anything to others, so that it can go on from
 * what is attested for the reader alone.
 */
function canBeFilled({ visibility, chunk }: ReadEvent, { userNid, ignored }: SyncPlan, { chunks }: RoomData): boolean {
  const isOpen = visibility === Visibility.shared || visibility === Visibility.worldReadable;
  const facts = chunks.get(chunk);
  const isOwn = facts?.attestedFor === userNid;
  return isOpen && facts !== undefined && (isOwn || (facts.attestedFor === undefined && ignored.size === 0));
}
