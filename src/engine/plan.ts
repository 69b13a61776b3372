import { invariant } from "../lib/invariant.ts";
import type { ExtensionReads } from "../model/extension-reads.ts";
import type { RoomId, RoomNid } from "../model/ids.ts";
import { isDeparted, isStripped } from "../model/membership.ts";
import { endOfNeighbours } from "../model/neighbours.ts";
import type { RoomData, RoomReads } from "../model/room-reads.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { ConnectionState, Told } from "./connection/state.ts";
import type { StreamUpTo } from "./connection/streams.ts";
import { keptSubscriptions, subscriptionsDelta } from "./connection/subscriptions.ts";
import { type PlannedExtensions, planExtensions, readsOfExtensions } from "./extensions/extensions.ts";
import { type PlannedStreams, planStreams } from "./extensions/room-streams.ts";
import { globalAfter } from "./extensions/streams-after.ts";
import { Coverage } from "./lists/coverage.ts";
import { answerLists } from "./lists/list-answers.ts";
import type { RoomConfig, SyncRequest } from "./request.ts";
import type { ListAnswer } from "./response.ts";
import { ConfigComparison } from "./rooms/room-config.ts";
import { type Answering, hasChanged, planRoom, type RoomPlan, type RoomsToPlan, tellable } from "./rooms/room-plan.ts";
import { isIgnoredInvite } from "./rooms/stripped-facts.ts";
import type { ReaderView } from "./view.ts";

interface PlanInput {
  readonly request: SyncRequest;
  readonly connection: ConnectionState;
  /** What the client has been told up to; undefined on a first request. */
  readonly from: StreamPosition | undefined;
  /** The position that `view` stands at. */
  readonly to: StreamPosition;
  readonly view: ReaderView;
}

/**
 * What an answer needs from the store, and everything of memory that it will say. Valid until the connection state it
 * was planned from is changed.
 */
export interface SyncPlan extends Answering {
  readonly to: StreamPosition;
  readonly lists: ReadonlyMap<string, ListAnswer>;
  /** Newest activity first. */
  readonly rooms: readonly RoomPlan[];
  readonly reads: readonly RoomReads[];
  /** Live rooms that changed and that nothing in the request covers: told up to `from` only. */
  readonly missed: ReadonlyMap<RoomNid, Told>;
  /** Rooms that are subscribed to. */
  readonly subscribed: ReadonlyMap<RoomId, RoomConfig>;
  /** Those of them of which nothing of the reader is known: they may have left them long ago. */
  readonly unknown: readonly RoomId[];
  /** Rooms of which all members are wanted that are not all known. */
  readonly wishes: readonly RoomNid[];
  /** What the connection has to remember of subscriptions. Undefined: as before. */
  readonly subscriptions: ReadonlyMap<RoomId, RoomConfig> | undefined;
  readonly extensions: PlannedExtensions;
  readonly streams: PlannedStreams;
  /** What the client has been told of streams so far. */
  readonly streamsTold: ConnectionState["streams"];
  /** What the client has been told of account data that belongs to no room, once it has the answer; undefined: as before. */
  readonly accountData: StreamUpTo;
}

/** Scratch: what is in here means nothing between two calls. */
const coverage = new Coverage();

/** Decides which rooms an answer is about and what must be read for it. Costs a scan over the reader's rooms. */
export function planSync(input: PlanInput): SyncPlan {
  const { request, connection, view, to } = input;
  const from = input.from ?? BEFORE_ALL;
  invariant(from <= to, "an answer ends at or after the position where it begins");
  invariant(input.from !== undefined || connection.rooms.size === 0, "a new connection was told nothing");
  const subscriptions = keptSubscriptions(connection.subscriptions, request);
  coverage.reset(view.rooms.size);
  const lists = answerLists(request, view, connection, from, coverage);
  for (const [roomId, config] of subscriptions) coverSubscription(roomId, config, view, connection);
  const toPlan = { view, connection, from, comparison: new ConfigComparison() };
  const rooms = decideRooms(toPlan);
  const streams = planStreams({ ...toPlan, asked: request.extensions, coverage, rooms });
  const isTold = request.extensions.accountData !== undefined;
  return {
    from: input.from,
    to,
    userNid: view.userNid,
    userId: view.userId,
    ignored: view.own.ignored,
    lists,
    rooms,
    reads: rooms.flatMap((room) => room.reads ?? []),
    missed: missedRooms(toPlan),
    subscribed: subscriptions,
    unknown: unknownIn(subscriptions, view),
    wishes: rooms.filter(({ wish }) => wish !== undefined).map(({ room }) => room),
    subscriptions: subscriptionsDelta(connection.subscriptions, subscriptions, request),
    extensions: planExtensions(request.extensions, {
      view,
      from: input.from,
      accountDataTold: connection.accountData,
      streams,
    }),
    streams,
    streamsTold: connection.streams,
    accountData: globalAfter(connection.accountData, { isTold, changedAt: view.accountData.globalAt, from }),
  };
}

/** What must be read for the extensions, once what is kept back is left out of the plan. */
export const extensionReads = (plan: SyncPlan, data: ReadonlyMap<RoomNid, RoomData>): ExtensionReads =>
  readsOfExtensions(plan.extensions, { answering: plan, answered: answeredRooms(plan), data });

export const answeredRooms = ({ rooms }: SyncPlan): ReadonlyMap<RoomNid, RoomPlan> =>
  new Map(rooms.map((room) => [room.room, room]));

/** While a first sync arrives, what is not known is on its way. */
const unknownIn = (subscriptions: SyncPlan["subscribed"], view: ReaderView): readonly RoomId[] =>
  view.own.announcedJoined === undefined ? [...subscriptions.keys()].filter((roomId) => indexOf(roomId, view) < 0) : [];

/** In the reader's rooms; -1: they never had anything to do with it, as far as is known. */
function indexOf(roomId: RoomId, { rooms }: ReaderView): number {
  const room = rooms.findRoom(roomId);
  return room === undefined ? -1 : rooms.indexOf(room);
}

/**
 * A room that the reader may not see, or that does not exist, is left out without a word. One that they left is shown as it was
 * then, unless they have forgotten it.
 */
function coverSubscription(roomId: RoomId, config: RoomConfig, view: ReaderView, connection: ConnectionState): void {
  const index = indexOf(roomId, view);
  if (index < 0) return;
  const membership = view.rooms.membership(index);
  const room = view.rooms.room(index);
  const isShown = isDeparted(membership)
    ? connection.rooms.has(room) || !view.rooms.isForgotten(index)
    : isStripped(membership) || view.facts.isComplete(room);
  if (isShown && !isIgnoredInvite(view, index)) coverage.coverAll([index], config);
}

/** Only covered rooms that changed, or that are asked for anew, cost more than a look. */
function decideRooms(input: RoomsToPlan): readonly RoomPlan[] {
  const { view, connection, from } = input;
  const rooms: RoomPlan[] = [];
  for (const index of coverage.covered()) {
    const config = coverage.configOf(index);
    if (config === undefined) continue;
    const told = connection.rooms.get(view.rooms.room(index));
    const isChanged = hasChanged(view, index, from);
    if (!isChanged && told !== undefined && input.comparison.isAllTold(told, tellable(input, index, config))) continue;
    const plan = planRoom(input, index, config);
    if (plan !== undefined) rooms.push(plan);
  }
  return rooms.sort((a, b) => b.memory.activity - a.memory.activity || a.room - b.room);
}

/** Looking for a room costs as much as so many steps of a scan. */
const LOOK_COST = 10;

/** Looks at the rooms that the client was told of, or scans the reader's rooms, whichever is less work. */
function missedRooms(input: RoomsToPlan): SyncPlan["missed"] {
  const { view, connection, from } = input;
  const missed = new Map<RoomNid, Told>();
  const { rooms, facts } = view;
  const note = (index: number) => {
    if (index >= 0 && hasChanged(view, index, from) && coverage.configOf(index) === undefined)
      addMissed(missed, input, index);
  };
  if (connection.rooms.size * LOOK_COST < rooms.size) {
    for (const room of connection.rooms.keys()) note(rooms.indexOf(room));
    return missed;
  }
  const isReaderQuiet = rooms.newestChange <= from;
  const { neighbourBits } = facts.columns;
  for (let start = 0, end = 0; start < rooms.size; start = end) {
    end = endOfNeighbours(rooms.columns.rooms, start, neighbourBits);
    const areQuiet = facts.changedNear(rooms.room(start)) <= from;
    if (areQuiet && isReaderQuiet) continue;
    for (let index = start; index < end; index++) if (!areQuiet || rooms.changedAt(index) > from) note(index);
  }
  return missed;
}

/** A room that was told everything and now misses something. A reader who is not in it misses only a change of that. */
function addMissed(missed: Map<RoomNid, Told>, { view, connection, from }: RoomsToPlan, index: number): void {
  const room = view.rooms.room(index);
  const told = connection.rooms.get(room);
  if (told?.upTo !== "live") return;
  if (told.as === "joined" || view.rooms.since(index) > from) missed.set(room, { ...told, upTo: from });
}
