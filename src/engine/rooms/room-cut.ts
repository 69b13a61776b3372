import { Membership, previousMembership } from "../../model/membership.ts";
import type { RoomData } from "../../model/room-reads.ts";
import type { Answering, RoomPlan } from "./room-plan.ts";
import { cutTimeline, type TimelineCut } from "./timeline.ts";

/** Whether events are shown that follow a hole. */
export const showsGap = (cut: TimelineCut | undefined): boolean => cut?.limited === true && cut.events.length > 0;

/**
 * Whether the reader is in the room, or was. Of who departed that is known where the client was told, or where the event of the
 * departure says so: invites and knocks end in departures, too.
 */
export const hasBeenIn = ({ as, told }: RoomPlan, { ownMember }: RoomData): boolean =>
  as === "joined" || told?.as === "joined" || previousMembership(ownMember?.unsigned) === Membership.join;

/** The timeline that a planned room gets; undefined: none was wanted. */
export function cutOf(answering: Answering, room: RoomPlan, data: RoomData): TimelineCut | undefined {
  if (room.reads === undefined || room.reads.timelineEvents === 0 || !hasBeenIn(room, data)) return undefined;
  return cutTimeline(data, {
    reader: answering.userNid,
    ignored: answering.ignored,
    limit: room.config.timelineLimit,
    after: room.isTimelineExpanded ? undefined : room.after,
    isJoined: room.as === "joined",
    sinceOrderKey: room.memory.sinceOrderKey,
  });
}
