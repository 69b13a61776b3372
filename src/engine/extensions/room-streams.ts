import type { RoomId, RoomNid } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { ConnectionState } from "../connection/state.ts";
import {
  NO_STREAM_TOLD,
  ROOM_STREAMS,
  type RoomStream,
  type StreamsTold,
  type StreamUpTo,
} from "../connection/streams.ts";
import { isToldOf } from "../connection/told.ts";
import type { Coverage } from "../lists/coverage.ts";
import { type InScope, scopesOf } from "../lists/extension-scopes.ts";
import type { ExtensionsRequest, RoomConfig } from "../request.ts";
import type { RoomPlan } from "../rooms/room-plan.ts";
import type { ReaderView } from "../view.ts";

/** A room of which an extension may have something to tell. */
export interface StreamRoom {
  readonly room: RoomNid;
  readonly roomId: RoomId;
  /** What came up to it was told; undefined: nothing that still counts. */
  readonly after: StreamPosition | undefined;
  readonly changedAt: StreamPosition;
  /** The answer has something to say of the room itself, and tells of it only together with that. */
  readonly isPlanned: boolean;
  /** The room is told anew by this answer; else the client has it, as it was told with this config. */
  readonly told: RoomConfig | undefined;
  /** Where the reader's membership stands; undefined: before all events that are stored. */
  readonly sinceOrderKey: number | undefined;
}

export interface PlannedStream {
  /** Rooms in scope that may have news. */
  readonly due: readonly StreamRoom[];
  /** Rooms of which everything was told, and that changed while nobody asks for them. */
  readonly missed: readonly RoomNid[];
}

/** What is told of rooms beside the rooms themselves. */
export type PlannedStreams = Readonly<Record<RoomStream, PlannedStream>>;

export interface StreamsInput {
  readonly view: ReaderView;
  readonly connection: ConnectionState;
  /** 0 on a first request. */
  readonly from: StreamPosition;
  readonly asked: ExtensionsRequest;
  readonly coverage: Coverage;
  /** Rooms that the answer has something to say of. */
  readonly rooms: readonly RoomPlan[];
}

type Scopes = Readonly<Record<RoomStream, InScope | undefined>>;

/** Only rooms in scope that changed, or that are asked for anew, cost more than a look. */
export function planStreams(input: StreamsInput): PlannedStreams {
  const scopes = scopesOf(input.asked, input.coverage, input.view);
  return { ...NOTHING, ...collected(dueRooms(input, scopes), missedRooms(input, scopes)) };
}

const NOTHING_PLANNED: PlannedStream = { due: [], missed: [] };
const NOTHING: PlannedStreams = {
  accountData: NOTHING_PLANNED,
  receipts: NOTHING_PLANNED,
  typing: NOTHING_PLANNED,
};

type ByStream<Item> = Map<RoomStream, Item[]>;

function collected(due: ByStream<StreamRoom>, missed: ByStream<RoomNid>): Partial<PlannedStreams> {
  if (due.size + missed.size === 0) return {};
  return Object.fromEntries(
    ROOM_STREAMS.map((stream) => [stream, { due: due.get(stream) ?? [], missed: missed.get(stream) ?? [] }]),
  );
}

function add<Item>(to: ByStream<Item>, stream: RoomStream, item: Item): void {
  const items = to.get(stream);
  if (items === undefined) to.set(stream, [item]);
  else items.push(item);
}

function dueRooms(input: StreamsInput, scopes: Scopes): ByStream<StreamRoom> {
  const due: ByStream<StreamRoom> = new Map();
  const asked = ROOM_STREAMS.filter((stream) => scopes[stream] !== undefined);
  if (asked.length === 0) return due;
  const { view, connection, from, coverage } = input;
  const { rooms, facts } = view;
  const planned = new Map(input.rooms.map((plan) => [plan.room, plan]));
  const isAccountQuiet = view.accountData.newestAt <= from;
  const owesNothing = asked.every((stream) => connection.owing[stream] === 0);
  for (const index of coverage.covered()) {
    const room = rooms.room(index);
    const plan = planned.size === 0 ? undefined : planned.get(room);
    const isQuiet = plan === undefined && isAccountQuiet && facts.ephemeralNear(room) <= from;
    if (isQuiet && owesNothing) continue;
    const told = connection.streams.get(room) ?? NO_STREAM_TOLD;
    if (isQuiet && areLive(told, asked)) continue;
    for (const stream of asked) {
      if (scopes[stream]?.(index) !== true) continue;
      const found = streamRoom(input, index, stream, plan, told[stream]);
      if (found !== undefined) add(due, stream, found);
    }
  }
  return due;
}

function areLive(told: StreamsTold, asked: readonly RoomStream[]): boolean {
  for (const stream of asked) if (told[stream] !== "live") return false;
  return true;
}

/** undefined: there is nothing to tell, or the client does not have the room as one of which this is told. */
function streamRoom(
  { view, connection, from }: StreamsInput,
  index: number,
  stream: RoomStream,
  plan: RoomPlan | undefined,
  told: StreamUpTo,
): StreamRoom | undefined {
  const room = view.rooms.room(index);
  const known = connection.rooms.get(room);
  const as = plan?.as ?? known?.as;
  if (as === undefined || !isToldOf(stream, as)) return undefined;
  const upTo = plan?.isInitial === true ? undefined : told;
  const changedAt = changeOf(view, room, stream);
  const isExpanded = stream === "receipts" && plan?.isTimelineExpanded === true;
  if (upTo === "live" && changedAt <= from && !isExpanded) return undefined;
  return {
    room,
    roomId: view.facts.roomId(room),
    after: upTo === "live" ? from : upTo,
    changedAt,
    isPlanned: plan !== undefined,
    told: plan?.isInitial === true ? undefined : known?.config,
    sinceOrderKey: view.rooms.sinceOrderKey(index),
  };
}

function changeOf({ facts, accountData }: ReaderView, room: RoomNid, stream: RoomStream): StreamPosition {
  if (stream === "accountData") return accountData.at(room);
  return stream === "receipts" ? facts.receiptsAt(room) : facts.typingAt(room);
}

/** One scan over the reader's rooms. */
function missedRooms(input: StreamsInput, scopes: Scopes): ByStream<RoomNid> {
  const missed: ByStream<RoomNid> = new Map();
  const { view, connection, from } = input;
  if (connection.streams.size === 0) return missed;
  const { rooms, facts, accountData } = view;
  const isAccountQuiet = accountData.newestAt <= from;
  for (let index = 0; index < rooms.size; index++) {
    const room = rooms.room(index);
    if (isAccountQuiet && facts.ephemeralNear(room) <= from) continue;
    const told = connection.streams.get(room);
    if (told !== undefined) addMissed(missed, input, scopes, index, told);
  }
  return missed;
}

/** What a reader misses of a room that they are not in is told anew when they come back. */
function addMissed(
  missed: ByStream<RoomNid>,
  { view, from }: StreamsInput,
  scopes: Scopes,
  index: number,
  told: StreamsTold,
): void {
  const room = view.rooms.room(index);
  const isJoined = view.rooms.membership(index) === Membership.join;
  for (const stream of ROOM_STREAMS) {
    if (told[stream] !== "live" || (!isJoined && stream !== "accountData")) continue;
    if (changeOf(view, room, stream) > from && scopes[stream]?.(index) !== true) add(missed, stream, room);
  }
}

/** Rooms of which an answer tells, by number. */
export type AnsweredRooms = ReadonlyMap<RoomNid, RoomPlan>;

/** Those that are told of: a room that the answer leaves out although it had something to say of it keeps all back. */
export const toldRooms = ({ due }: PlannedStream, answered: AnsweredRooms): readonly StreamRoom[] =>
  due.filter(({ room, isPlanned }) => !isPlanned || answered.has(room));
