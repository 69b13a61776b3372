import { contentOf } from "../../model/event-content.ts";
import { isBumpType } from "../../model/events-that-bump.ts";
import type { UserId } from "../../model/ids.ts";
import type { ReadEvent, RoomData } from "../../model/room-reads.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { AVATAR, MEMBER, NAME } from "../event-types.ts";
import type { Hero, RoomAnswer, ShownEvent, TimelineAnswer } from "../response.ts";
import { heroOf, neededHeroes, textIn } from "./heroes.ts";
import { madeDeparture } from "./made-departure.ts";
import { cutOf, hasBeenIn, showsGap } from "./room-cut.ts";
import type { Answering, RoomPlan } from "./room-plan.ts";
import { type MemberEvents, type SelectedState, selectState } from "./selected-state.ts";
import type { TimelineCut } from "./timeline.ts";

/** One room of an answer, with what is needed to remember what was told. */
export interface AssembledRoom {
  readonly answer: RoomAnswer;
  readonly state: SelectedState;
  /** Says nothing that the client does not know: it is not sent. */
  readonly isEmpty: boolean;
  /** Since when it waits for an answer that is given anyway, and is no reason for one before long; undefined: it does not. */
  readonly quietSince: StreamPosition | undefined;
}

export function assembleRoom(
  answering: Answering,
  room: RoomPlan,
  read: RoomData,
  members: MemberEvents,
): AssembledRoom {
  const data = room.as === "departed" ? withDeparture(answering, room, read) : read;
  const cut = cutOf(answering, room, data);
  const known = knownMembers(data, members);
  const state = selectState(answering.userId, room, data, cut, known);
  const answer: RoomAnswer = {
    ...bareAnswer(room),
    name: nameOf(room, data),
    avatar: avatarOf(room, data),
    heroes: heroesOf(room, data, cut, known),
    ...countsOf(room, data, cut),
    bumpStamp: isBumpNews(room, cut) ? room.memory.bumpStamp : undefined,
    requiredState: state.events,
    timeline: cut === undefined ? undefined : timelineAnswer(answering, room, data, cut),
    isTimelineExpanded: room.isTimelineExpanded,
  };
  return { answer, state, ...worthOf(room, isBare(answer)) };
}

/** Clients would take a departure without the reader's member event for a join. */
function withDeparture({ userId }: Answering, { membership, room, memory }: RoomPlan, data: RoomData): RoomData {
  const since = memory.activity as StreamPosition;
  return { ...data, ownMember: data.ownMember ?? madeDeparture({ userId, membership, room, since }) };
}

/** An answer for a room of which nothing was read. */
export const bareAnswer = (room: RoomPlan): RoomAnswer => ({
  roomId: room.roomId,
  membership: room.membership,
  isInitial: room.isInitial,
  name: undefined,
  avatar: undefined,
  heroes: undefined,
  isDm: room.memory.isDm,
  joinedCount: undefined,
  invitedCount: undefined,
  notificationCount: room.memory.notificationCount,
  highlightCount: room.memory.highlightCount,
  bumpStamp: room.as === "joined" && !room.isInitial ? undefined : room.memory.bumpStamp,
  requiredState: [],
  timeline: undefined,
  isTimelineExpanded: false,
  strippedState: room.as === "stripped" ? room.memory.strippedState : undefined,
});

/** Later sources win: current state, what changed, what was read because the timeline needs it. */
const knownMembers = (data: RoomData, members: MemberEvents): MemberEvents => {
  const read = [...data.state, ...data.changed].filter(({ type }) => type === MEMBER);
  return new Map([...data.members, ...members, ...read.map((event) => [event.stateKey as UserId, event] as const)]);
};

const isChanged = ({ changed, removed = [] }: RoomData, type: string): boolean =>
  [...changed, ...removed].some((event) => event.type === type && event.stateKey === "");

/** Columns of the room: on the first answer, then when the event they come from changed. */
const isNews = (room: RoomPlan, data: RoomData, type: string): boolean => room.isInitial || isChanged(data, type);

function nameOf(room: RoomPlan, data: RoomData): string | undefined {
  if (room.as === "departed") return atDeparture(room, data, NAME, "name");
  return isNews(room, data, NAME) ? room.memory.name : undefined;
}

/** Of a room that a client learns of by its reader's departure. */
function atDeparture(room: RoomPlan, data: RoomData, type: string, field: string): string | undefined {
  if (!room.isInitial || !hasBeenIn(room, data)) return undefined;
  const event = data.state.find((each) => each.type === type);
  return event && textIn(contentOf(event.body), field);
}

function avatarOf(room: RoomPlan, data: RoomData): string | null | undefined {
  if (room.as === "departed") return atDeparture(room, data, AVATAR, "url");
  if (room.as !== "joined" || !isNews(room, data, AVATAR)) return undefined;
  return room.memory.avatar ?? (room.isInitial ? undefined : null);
}

function heroesOf(
  room: RoomPlan,
  data: RoomData,
  cut: TimelineCut | undefined,
  known: MemberEvents,
): readonly Hero[] | undefined {
  const heroes = neededHeroes(room, data, showsGap(cut));
  return heroes.length === 0 ? undefined : heroes.map((userId) => heroOf(userId, known.get(userId)));
}

/** A gap may hide changes of members that the homeserver counted and did not send. */
function countsOf(
  room: RoomPlan,
  data: RoomData,
  cut: TimelineCut | undefined,
): Pick<RoomAnswer, "joinedCount" | "invitedCount"> {
  const { changed, removed = [] } = data;
  const haveChanged = room.isInitial || showsGap(cut) || [...changed, ...removed].some(({ type }) => type === MEMBER);
  const { joinedCount, invitedCount } = room.memory;
  return haveChanged ? { joinedCount, invitedCount } : { joinedCount: undefined, invitedCount: undefined };
}

/** MSC4186 "Bump stamp": left out where the client knows it. */
const isBumpNews = (room: RoomPlan, cut: TimelineCut | undefined): boolean =>
  room.isInitial ||
  room.as !== "joined" ||
  cut === undefined ||
  cut.limited ||
  cut.events.some((event) => isBumpType(event.type));

function timelineAnswer(answering: Answering, room: RoomPlan, data: RoomData, cut: TimelineCut): TimelineAnswer {
  const events = cut.events.map((event): ShownEvent => ({ event, transactionId: data.transactionIds.get(event.nid) }));
  return { events, limited: cut.limited, prevBatch: cut.prevBatch, numLive: numLive(answering, room, cut.events) };
}

/**
 * History is not live, however new it is to us: what was learnt together with the reader's join, and what was learnt after
 * that which follows it.
 */
function numLive(answering: Answering, room: RoomPlan, events: readonly ReadEvent[]): number {
  const { from } = answering;
  if (from === undefined) return 0;
  const since = room.as === "joined" ? room.memory.sinceOrderKey : undefined;
  const isLate = ({ position }: ReadEvent, at: number) => position > (events[at + 1]?.position ?? position);
  const isLive = (event: ReadEvent, at: number) =>
    event.position > from && (since === undefined || event.orderKey >= since) && !isLate(event, at);
  return events.length - 1 - events.findLastIndex((event, at) => !isLive(event, at));
}

/**
 * Whether a room's answer says anything, and whether it is a reason to answer. `isBare`: there is nothing in it but the reader's
 * own part. Counts that rose alone wait a moment for another reason: as a rule they rise with a message, which has been told,
 * and in a busy room the next one is near.
 */
export function worthOf(room: RoomPlan, isBare: boolean): Pick<AssembledRoom, "isEmpty" | "quietSince"> {
  if (!isBare || room.isInitial || room.as !== "joined") return { isEmpty: false, quietSince: undefined };
  const { notificationCount, highlightCount } = room.memory;
  const haveRisen = notificationCount + highlightCount > 0;
  return { isEmpty: room.ownNewsAt === undefined, quietSince: haveRisen ? room.ownNewsAt : undefined };
}

const isBare = (answer: RoomAnswer): boolean =>
  (answer.timeline?.events.length ?? 0) === 0 &&
  answer.requiredState.length === 0 &&
  answer.name === undefined &&
  answer.avatar === undefined &&
  answer.heroes === undefined &&
  answer.joinedCount === undefined &&
  answer.invitedCount === undefined;
