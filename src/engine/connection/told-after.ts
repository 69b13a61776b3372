import type { StateEvent } from "../../model/stored-event.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { RoomConfig } from "../request.ts";
import type { RoomAnswer } from "../response.ts";
import { needsLazyMembers, toldRequiredState } from "../rooms/room-config.ts";
import type { RoomPlan } from "../rooms/room-plan.ts";
import type { Told } from "./state.ts";

/** What the client has been told of a room once it has the answer; the same object when nothing is new. */
export function toldAfterAnswer(room: RoomPlan, answer: RoomAnswer, missed: readonly StateEvent[]): Told {
  const { told } = room;
  const config = room.held === undefined ? room.tellable : configAfter(room, room.held, answer, missed);
  if (told?.upTo === "live" && told.as === room.as && told.config === config) return told;
  return { upTo: "live", as: room.as, config };
}

/** A room that is left out misses what changed; what was never told stays so. */
export const toldWithoutAnswer = ({ told }: RoomPlan, from: StreamPosition): Told | undefined =>
  told?.upTo === "live" ? { ...told, upTo: from } : undefined;

function configAfter(room: RoomPlan, told: RoomConfig, answer: RoomAnswer, missed: readonly StateEvent[]): RoomConfig {
  if (room.as !== "joined") return told;
  if (room.isInitial) return room.tellable;
  const timelineLimit = timelineLimitAfter(room, told, answer);
  const hasNewEvents = (answer.timeline?.events.length ?? 0) > 0;
  const requiredState = toldRequiredState(told.requiredState, room.tellable.requiredState, missed, hasNewEvents);
  if (timelineLimit === told.timelineLimit && requiredState === told.requiredState) return told;
  const { tellable } = room;
  if (timelineLimit === tellable.timelineLimit && requiredState === tellable.requiredState) return tellable;
  return { timelineLimit, requiredState };
}

/**
 * How many of the newest events the client has without a hole, and with the members that they need: after a gap no more than
 * it was just sent, after changes that it asked no timeline of, none that can be relied on.
 */
function timelineLimitAfter(room: RoomPlan, told: RoomConfig, { timeline }: RoomAnswer): number {
  const { timelineLimit, requiredState } = room.tellable;
  // An answer that shows no event tells of no gap, and is not given for it.
  if (timeline?.limited === true) return timeline.events.length === 0 ? 0 : timelineLimit;
  if (room.isTimelineExpanded) return timelineLimit;
  const hasRoomNews = room.reads?.changedAfter !== undefined;
  const isOutdated = hasRoomNews || needsLazyMembers(told.requiredState, requiredState);
  return timelineLimit === 0 && isOutdated ? 0 : told.timelineLimit;
}
