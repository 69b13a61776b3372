import type { UserId } from "../../model/ids.ts";
import type { ReadEvent, RoomData } from "../../model/room-reads.ts";
import type { StateEvent } from "../../model/stored-event.ts";
import { MEMBER } from "../event-types.ts";
import { matches } from "../required-state.ts";
import type { RoomPlan } from "./room-plan.ts";
import type { TimelineCut } from "./timeline.ts";

/**
 * The users whose member events a lazy reader needs with a timeline: senders that were not sent before, or changed
 * since, and targets of member events. Those that the config selects anyway are told by that.
 */
export function neededMembers(
  reader: UserId,
  plan: RoomPlan,
  data: RoomData,
  cut: TimelineCut | undefined,
): ReadonlySet<UserId> {
  const needed = new Set<UserId>();
  if (cut === undefined || !plan.config.requiredState.lazyMembers) return needed;
  const changed = new Set(changedMembers(data).map((event) => event.stateKey));
  const isOwnTold = isToldByName(plan, reader) && !changed.has(reader);
  for (const event of cut.events) {
    const isSent = !plan.isInitial && plan.sentMembers.has(event.sender) && !changed.has(event.sender);
    const isTold = isSent || (isOwnTold && event.sender === reader);
    if (!isTold && !isSelected(plan, event.sender)) needed.add(event.sender);
    const target = targetOf(event);
    if (target !== undefined && !isSelected(plan, target)) needed.add(target);
  }
  return needed;
}

/** Member changes that a lazy reader is told, timeline or not: all, as long as nothing is missing (`limited` false). */
export const toldMemberChanges = (
  plan: RoomPlan,
  data: RoomData,
  cut: TimelineCut | undefined,
): readonly StateEvent[] =>
  plan.config.requiredState.lazyMembers && cut !== undefined && !cut.limited ? changedMembers(data) : [];

export const changedMembers = (data: RoomData): readonly StateEvent[] =>
  data.changed.filter((event) => event.type === MEMBER);

const targetOf = (event: ReadEvent): UserId | undefined =>
  event.type === MEMBER && event.stateKey !== undefined ? (event.stateKey as UserId) : undefined;

/** Asked of the reader's own member event alone: others may not have been known yet when they were asked for by name. */
const isToldByName = ({ isInitial, held }: RoomPlan, reader: UserId): boolean =>
  !isInitial && held !== undefined && matches(held.requiredState, MEMBER, reader);

const isSelected = (plan: RoomPlan, userId: UserId): boolean => matches(plan.config.requiredState, MEMBER, userId);
