import type { RoomId, RoomNid, UserId, UserNid } from "../../model/ids.ts";
import type { Membership } from "../../model/membership.ts";
import type { RoomReads, StateAtDeparture } from "../../model/room-reads.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { ConnectionState, SentAs, Told } from "../connection/state.ts";
import { sentAs, toldUpTo } from "../connection/told.ts";
import { AVATAR, NAME } from "../event-types.ts";
import type { RoomConfig } from "../request.ts";
import type { ReaderView } from "../view.ts";
import { heldConfig, readable, wantsIfKnown, withKnownMembers } from "./all-members.ts";
import { type ConfigComparison, type ConfigGrowth, withoutSentMembers } from "./room-config.ts";

/** What memory held of the room when the answer was planned; it may go on while the store is read. */
interface RoomMemory {
  readonly activity: number;
  readonly bumpStamp: number;
  readonly name: string | undefined;
  readonly avatar: string | undefined;
  readonly isDm: boolean;
  readonly joinedCount: number | undefined;
  readonly invitedCount: number | undefined;
  readonly notificationCount: number;
  readonly highlightCount: number;
  readonly strippedState: Buffer | undefined;
  /** Where the reader's last change of membership stands; undefined: before all events that are stored. */
  readonly sinceOrderKey: number | undefined;
}

/** For whom an answer is, and where it begins. */
export interface Answering {
  readonly userNid: UserNid;
  readonly userId: UserId;
  /** Users whose messages they do not want to see. */
  readonly ignored: ReadonlySet<UserId>;
  /** undefined on a first request. */
  readonly from: StreamPosition | undefined;
}

/** One room that this answer may have something to say of. */
export interface RoomPlan {
  readonly room: RoomNid;
  readonly roomId: RoomId;
  readonly membership: Membership;
  readonly as: SentAs;
  readonly isInitial: boolean;
  /** Everything up to it was told; undefined: nothing that still counts. */
  readonly after: StreamPosition | undefined;
  readonly told: Told | undefined;
  /** How this request wants the room. */
  readonly config: RoomConfig;
  /** What of it is told with this answer; less only where not all members are known that it selects. */
  readonly tellable: RoomConfig;
  /** What the client has of what it was told; undefined: nothing. */
  readonly held: RoomConfig | undefined;
  /** Members are wanted that may be unknown: not all are known. `"first"`: the client was told none of them on that account. */
  readonly wish: "first" | "again" | undefined;
  readonly isTimelineExpanded: boolean;
  /**
   * When the reader's own part changed, as a rule unread counts; undefined: the client knows it. A homeserver tells them
   * together with what they count: without any news of the room the room was read on another device, or another stream
   * brought the event earlier.
   */
  readonly ownNewsAt: StreamPosition | undefined;
  /** undefined: memory says all. */
  readonly reads: RoomReads | undefined;
  /** Lazy members that this connection was sent before, whether or not they still count. */
  readonly sentMembers: ReadonlySet<UserId>;
  readonly memory: RoomMemory;
}

export interface RoomsToPlan {
  readonly view: ReaderView;
  readonly connection: ConnectionState;
  /** 0 on a first request. */
  readonly from: StreamPosition;
  readonly comparison: ConfigComparison;
}

/** What of a config can be told of a room. */
export const tellable = ({ view }: RoomsToPlan, index: number, config: RoomConfig): RoomConfig =>
  view.facts.membersKnownAt(view.rooms.room(index)) === undefined ? withKnownMembers(config, view.userId) : config;

/** Whether a fact of the room, or of the reader in the room, is newer than `after`. */
export const hasChanged = (view: ReaderView, index: number, after: StreamPosition): boolean =>
  view.facts.changedAt(view.rooms.room(index)) > after || view.rooms.changedAt(index) > after;

/** What to read and say of a covered room; undefined: nothing. */
export function planRoom(input: RoomsToPlan, index: number, config: RoomConfig): RoomPlan | undefined {
  const { rooms } = input.view;
  const told = input.connection.rooms.get(rooms.room(index));
  const as = sentAs(rooms.membership(index));
  if (told === undefined || told.as !== as || rooms.since(index) > toldUpTo(told, input.from)) {
    return planAnew(input, index, config, as, told);
  }
  return as === "joined" ? planDelta(input, index, config, told) : undefined;
}

/** The reader's membership is news to the client. */
function planAnew(input: RoomsToPlan, index: number, config: RoomConfig, as: SentAs, told: Told | undefined): RoomPlan {
  const plan = { told, config, after: undefined, isTimelineExpanded: false, ownNewsAt: undefined };
  if (as === "stripped") return roomPlan(input, index, { ...plan, isInitial: true, reads: undefined });
  if (as === "departed") return planDeparture(input, index, config, told);
  const reads: RoomReads = {
    ...nothingOf(input, index),
    timelineEvents: timelineReads(config),
    state: config.requiredState.selectors,
    heroes: input.view.facts.name(input.view.rooms.room(index)) === undefined,
  };
  return roomPlan(input, index, { ...plan, isInitial: true, reads });
}

/** A departure ends what the reader may see: nothing is told but the departure, and what came before it. */
function planDeparture(input: RoomsToPlan, index: number, config: RoomConfig, told: Told | undefined): RoomPlan {
  const sinceOrderKey = input.view.rooms.sinceOrderKey(index);
  const isRecalled = input.view.rooms.isRecalled(index);
  const isEndTold = (told === undefined || told.as === "joined") && (isRecalled || sinceOrderKey !== undefined);
  const reads: RoomReads = {
    ...nothingOf(input, index),
    isRecalled,
    timelineEvents: isEndTold ? timelineReads(config) : 0,
    upToOrderKey: sinceOrderKey,
    stateAtDeparture: isEndTold ? stateAtDeparture(input, config, told) : undefined,
    ownMember: true,
  };
  return roomPlan(input, index, {
    told,
    config,
    after: told === undefined ? undefined : toldUpTo(told, input.from),
    isInitial: told === undefined,
    // A client that was told of no event has nothing that the last ones could follow.
    isTimelineExpanded: reads.timelineEvents > 0 && told?.config.timelineLimit === 0,
    ownNewsAt: undefined,
    reads,
  });
}

/**
 * A client that was told of the room as one who is in it was told nothing that came after the departure. One that was told nothing
 * is told how the room was called, whatever state it asks for.
 */
function stateAtDeparture({ from }: RoomsToPlan, config: RoomConfig, told: Told | undefined): StateAtDeparture {
  const { selectors } = config.requiredState;
  if (told !== undefined) return { selectors, knownAt: toldUpTo(told, from) };
  return { selectors: [...selectors, ...SHOWN_OF_ROOM], knownAt: BEFORE_ALL };
}

const SHOWN_OF_ROOM = [NAME, AVATAR].map((type) => ({ type, stateKey: "" }));

function planDelta(input: RoomsToPlan, index: number, config: RoomConfig, told: Told): RoomPlan | undefined {
  const { facts, rooms, userId } = input.view;
  const after = toldUpTo(told, input.from);
  const since = { toldUpTo: after, membersKnownAt: facts.membersKnownAt(rooms.room(index)) };
  const held = heldConfig(told.config, userId, since);
  const growth = input.comparison.growth({ ...told, config: held }, tellable(input, index, config));
  const grown = growth === undefined ? undefined : withoutSentMembers(growth, sentMembersOf(input, index));
  const hasRoomNews = facts.changedAt(rooms.room(index)) > after;
  const ownNewsAt = rooms.changedAt(index) > after ? rooms.changedAt(index) : undefined;
  const hasReads = hasRoomNews || grown !== undefined;
  if (!hasReads && ownNewsAt === undefined && told.upTo === "live") return undefined;
  const reads = hasReads ? deltaReads(input, index, config, grown, hasRoomNews ? after : undefined) : undefined;
  const isTimelineExpanded = grown?.isTimelineExpanded === true;
  const isFirst = grown !== undefined && wantsIfKnown(grown.selectors);
  const decided = { told, config, after, isInitial: false, isTimelineExpanded, ownNewsAt, reads };
  return roomPlan(input, index, { ...decided, held, isFirst });
}

function deltaReads(
  input: RoomsToPlan,
  index: number,
  config: RoomConfig,
  grown: ConfigGrowth | undefined,
  changedAfter: StreamPosition | undefined,
): RoomReads {
  const readsTimeline = changedAfter !== undefined || grown?.isTimelineExpanded === true;
  return {
    ...nothingOf(input, index),
    timelineEvents: readsTimeline ? timelineReads(config) : 0,
    state: readable(grown?.selectors ?? []),
    changedAfter,
    toldUpTo: grown?.isTimelineExpanded === true ? undefined : changedAfter,
  };
}

/** One more than is sent: it shows whether the first event that is sent follows one that was told. */
const timelineReads = (config: RoomConfig): number => (config.timelineLimit === 0 ? 0 : config.timelineLimit + 1);

const nothingOf = (input: RoomsToPlan, index: number): RoomReads => ({
  room: input.view.rooms.room(index),
  timelineEvents: 0,
  upToOrderKey: undefined,
  state: [],
  members: [],
  changedAfter: undefined,
  toldUpTo: undefined,
  ownMember: false,
  heroes: false,
});

type Decided = Pick<
  RoomPlan,
  "told" | "config" | "after" | "isInitial" | "isTimelineExpanded" | "ownNewsAt" | "reads"
> & {
  readonly held?: RoomConfig;
  /** Members are asked for that the client was told none of. */
  readonly isFirst?: boolean;
};

function roomPlan(input: RoomsToPlan, index: number, { held, isFirst, ...decided }: Decided): RoomPlan {
  const { rooms, facts } = input.view;
  const told = tellable(input, index, decided.config);
  const isOwed = told !== decided.config && sentAs(rooms.membership(index)) === "joined";
  const wish = decided.isInitial || isFirst === true ? "first" : "again";
  const room = rooms.room(index);
  const membership = rooms.membership(index);
  return {
    room,
    roomId: facts.roomId(room),
    membership,
    as: sentAs(membership),
    sentMembers: sentMembersOf(input, index),
    memory: memoryOf(input.view, index),
    tellable: told,
    held: held ?? decided.told?.config,
    wish: isOwed ? wish : undefined,
    ...decided,
  };
}

const sentMembersOf = ({ connection, view }: RoomsToPlan, index: number): ReadonlySet<UserId> =>
  connection.lazyMembers.get(view.rooms.room(index)) ?? NO_MEMBERS;

const NO_MEMBERS: ReadonlySet<UserId> = new Set();

/** Of a room that the reader is not in, memory says no more than the reader's own part. */
function memoryOf(view: ReaderView, index: number): RoomMemory {
  const { rooms, facts } = view;
  const room = rooms.room(index);
  const isJoined = sentAs(rooms.membership(index)) === "joined";
  const activity = isJoined ? facts.activity(room) : rooms.activityOutside(index);
  return {
    activity,
    bumpStamp: isJoined ? facts.bumpStamp(room) : activity,
    name: isJoined ? facts.name(room) : undefined,
    avatar: isJoined ? facts.avatar(room) : undefined,
    isDm: view.own.direct.has(facts.roomId(room)),
    joinedCount: isJoined ? facts.joinedCount(room) : undefined,
    invitedCount: isJoined ? facts.invitedCount(room) : undefined,
    notificationCount: rooms.notificationCount(index),
    highlightCount: rooms.highlightCount(index),
    strippedState: rooms.strippedState(index),
    sinceOrderKey: rooms.sinceOrderKey(index),
  };
}
