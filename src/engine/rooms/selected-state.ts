import type { UserId } from "../../model/ids.ts";
import type { RoomData } from "../../model/room-reads.ts";
import type { StateEvent } from "../../model/stored-event.ts";
import { CREATE, MEMBER } from "../event-types.ts";
import { matches } from "../required-state.ts";
import { wantsKnownMembers } from "./all-members.ts";
import { changedMembers, neededMembers, toldMemberChanges } from "./lazy-members.ts";
import { hasBeenIn } from "./room-cut.ts";
import type { RoomPlan } from "./room-plan.ts";
import type { TimelineCut } from "./timeline.ts";

/** Member events that are at hand, by user. */
export type MemberEvents = ReadonlyMap<UserId, StateEvent>;

export interface SelectedState {
  /** `m.room.create` first, then the reader's own member event, then the rest. */
  readonly events: readonly StateEvent[];
  /** Lazy members among them. */
  readonly sentMembers: ReadonlySet<UserId>;
  /** Lazy members that the client was sent before and that are no longer what it has. */
  readonly staleMembers: ReadonlySet<UserId>;
  /** State that changed and that this answer does not send. */
  readonly missed: readonly StateEvent[];
}

/** The state that one answer sends of a room: what is asked for and not told, and the members its timeline needs. */
export function selectState(
  reader: UserId,
  room: RoomPlan,
  data: RoomData,
  cut: TimelineCut | undefined,
  known: MemberEvents,
): SelectedState {
  const { requiredState } = room.config;
  const lazy = lazyMembers(reader, room, data, cut, known);
  const isAsked = (event: StateEvent) => matches(requiredState, event.type, event.stateKey);
  const isChosen = room.as === "joined" ? isAsked : (event: StateEvent) => isAsked(event) && isOwed(room, data, event);
  const own = data.ownMember === undefined ? [] : [data.ownMember];
  const events = inOrder([...own, ...data.state.filter(isChosen), ...data.changed.filter(isChosen), ...lazy], reader);
  const sentMembers = new Set(lazy.map((event) => event.stateKey as UserId));
  return { events, sentMembers, staleMembers: staleMembers(room, data, sentMembers), missed: missedOf(data, events) };
}

function lazyMembers(
  reader: UserId,
  room: RoomPlan,
  data: RoomData,
  cut: TimelineCut | undefined,
  known: MemberEvents,
): readonly StateEvent[] {
  if (room.as !== "joined") return [];
  const byUser = new Map(toldMemberChanges(room, data, cut).map((event) => [event.stateKey as UserId, event]));
  for (const userId of neededMembers(reader, room, data, cut)) {
    const event = known.get(userId);
    if (event !== undefined) byUser.set(userId, event);
  }
  return [...byUser.values()];
}

/** Whether a client that is told of a departure does not have the state event as of then. */
function isOwed(room: RoomPlan, data: RoomData, { type, stateKey, position }: StateEvent): boolean {
  if (!hasBeenIn(room, data)) return false;
  const { told, after } = room;
  if (told === undefined || after === undefined || position > after) return true;
  const { requiredState } = told.config;
  const isMemberTold = type === MEMBER && wantsKnownMembers(requiredState.selectors);
  return !isMemberTold && !matches(requiredState, type, stateKey);
}

/** A client forgets the members of a room that is sent anew. */
function staleMembers(room: RoomPlan, data: RoomData, sent: ReadonlySet<UserId>): ReadonlySet<UserId> {
  const changed = room.isInitial
    ? [...room.sentMembers]
    : changedMembers(data).map((event) => event.stateKey as UserId);
  return new Set(changed.filter((userId) => room.sentMembers.has(userId) && !sent.has(userId)));
}

function missedOf(data: RoomData, events: readonly StateEvent[]): readonly StateEvent[] {
  const sent = new Set(events.map((event) => event.nid));
  return data.changed.filter((event) => !sent.has(event.nid));
}

/** Each state key once; of two values the later one in `events` is the newer. */
function inOrder(events: readonly StateEvent[], reader: UserId): readonly StateEvent[] {
  const byKey = new Map(events.map((event) => [`${event.type}\0${event.stateKey}`, event]));
  const rank = (event: StateEvent): number => {
    if (event.type === CREATE) return 0;
    return event.type === MEMBER && event.stateKey === reader ? 1 : 2;
  };
  return [...byKey.values()].sort((a, b) => rank(a) - rank(b));
}
