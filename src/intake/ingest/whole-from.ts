import { Membership, membershipOf } from "../../model/membership.ts";
import { Visibility, visibilityOf } from "../../model/visibility.ts";
import type { ParsedEvent } from "../response/parse-event.ts";
import type { ParsedSection } from "../response/parsed-section.ts";
import type { Source } from "./source.ts";
import { isMemberOf, isVisibilityEvent, wasJoinedBefore } from "./state-claim.ts";

/** How things stood before a section's timeline. */
export interface BeforeTimeline {
  /** The stream's user was in the room. */
  readonly wasJoined: boolean;
  /** Of history, in force before the first event. */
  readonly visibility: Visibility;
}

/**
 * Index of the first event from which on the timeline lacks nothing that the room has. Before a user came in, the room's
 * visibility may keep things from them, so that what stands side by side there is not known to be neighbours.
 */
export function wholeFrom(
  { kind, timeline }: ParsedSection,
  { userId }: Source,
  { wasJoined, visibility }: BeforeTimeline,
  isNew: (event: ParsedEvent) => boolean,
): number {
  const own = timeline.find((event) => isMemberOf(event, userId));
  // What is stored may be younger than the timeline: another device's stream, or an earlier response, has told of the arrival.
  const isKnownJoin = own !== undefined && !isNew(own) && membershipOf(own.content) === Membership.join;
  let isIn = isKnownJoin ? wasJoinedBefore(own) : wasJoined;
  // Who is out, and is not known to have been in, may have been out all along.
  let from = kind === "leave" && !wasJoined ? timeline.length : 0;
  for (const [index, event] of timeline.entries()) {
    if (!isMemberOf(event, userId)) continue;
    const membership = membershipOf(event.content);
    const isJoin = membership === Membership.join;
    if (isJoin && !isIn) from = index;
    else if (membership === Membership.invite || membership === Membership.knock) from = timeline.length;
    isIn = isJoin;
  }
  const changes = timeline.slice(0, from).filter(isVisibilityEvent);
  const inForce = [visibility, ...changes.map(({ content }) => visibilityOf(content.history_visibility))];
  // What is shared is so with those who are in the room, or come in.
  const hides = (each: Visibility) =>
    each !== Visibility.worldReadable && (each !== Visibility.shared || from === timeline.length);
  return inForce.some(hides) ? from : 0;
}
