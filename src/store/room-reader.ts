import type { ChunkNid, DeviceNid, EventNid, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { ReadEvent, RoomData, RoomReads } from "../model/room-reads.ts";
import type { Chunk, StateEvent } from "../model/stored-event.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { toReadEvent, toStateEvent } from "./event-rows.ts";
import type { HotRoom } from "./hot-room.ts";
import type { HotRooms } from "./hot-rooms.ts";
import {
  selectAllMembers,
  selectChunks,
  selectDeltas,
  selectOwnMembers,
  selectTails,
  selectTransactionIds,
} from "./room-selects.ts";

/** Events read beyond what was asked for when newer ones above `to` may be among them. */
const SLACK_EVENTS = 20;

export interface RoomReaderDeps {
  readonly db: Queryable;
  readonly hotRooms: HotRooms;
}

export interface ReadFor {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceNid: DeviceNid;
  /** Facts above it are not read, but for the latest values of state. */
  readonly to: StreamPosition;
}

type Timeline = Pick<RoomData, "timeline" | "chunks">;

/** Reads what one answer needs of its rooms: one query per kind of data for all of them, none for what is in memory. */
export async function readRooms(
  { db, hotRooms }: RoomReaderDeps,
  reads: readonly RoomReads[],
  reader: ReadFor,
): Promise<ReadonlyMap<RoomNid, RoomData>> {
  const hot = await hotRooms.get(new Map(reads.map((read) => [read.room, read.timelineEvents])), reader.to);
  const [timelines, changed, allMembers, ownMembers] = await Promise.all([
    readTimelines(db, hot, reads, reader.to),
    readChanged(db, hot, reads, reader.to),
    readAllMembers(db, reads),
    readOwnMembers(db, reads, reader),
    hotRooms.learnMembers(membersToLearn(hot, reads)),
  ]);
  const transactionIds = await readTransactionIds(db, timelines, reader);
  return new Map(
    reads.map((read) => {
      const { room } = read;
      const known = hot.get(room);
      return [
        room,
        {
          ...(timelines.get(room) ?? NO_TIMELINE),
          state: known === undefined ? [] : [...selectFrom(known, read), ...(allMembers.get(room) ?? [])],
          members: known === undefined ? new Map() : membersFrom(known, read.members),
          changed: lastOfEachKey(changed.get(room) ?? []),
          ownMember: ownMembers.get(room),
          transactionIds,
        },
      ];
    }),
  );
}

/** Reads member events of single users, of rooms that {@link readRooms} has just read. */
export async function readMembers(
  { hotRooms }: RoomReaderDeps,
  wanted: ReadonlyMap<RoomNid, readonly UserId[]>,
  to: StreamPosition,
): Promise<ReadonlyMap<RoomNid, ReadonlyMap<UserId, StateEvent>>> {
  const hot = await hotRooms.get(new Map([...wanted.keys()].map((room) => [room, 0])), to);
  await hotRooms.learnMembers(new Map([...wanted].flatMap(([room, users]) => withHot(hot, room, users))));
  return new Map(
    [...wanted].map(([room, users]) => {
      const known = hot.get(room);
      return [room, known === undefined ? new Map() : membersFrom(known, users)];
    }),
  );
}

const NO_TIMELINE: Timeline = { timeline: [], chunks: new Map() };

function withHot<Value>(hot: ReadonlyMap<RoomNid, HotRoom>, room: RoomNid, value: Value): [HotRoom, Value][] {
  const known = hot.get(room);
  return known === undefined ? [] : [[known, value]];
}

const isAnyMember = ({ type, stateKey }: { type: string | undefined; stateKey: string | undefined }): boolean =>
  stateKey === undefined && (type === undefined || type === "m.room.member");

/** Single members that the state selectors name. */
const namedMembers = ({ state }: RoomReads): readonly UserId[] =>
  state.flatMap(({ type, stateKey }) =>
    stateKey !== undefined && stateKey !== "" && (type === undefined || type === "m.room.member")
      ? [stateKey as UserId]
      : [],
  );

function membersToLearn(
  hot: ReadonlyMap<RoomNid, HotRoom>,
  reads: readonly RoomReads[],
): ReadonlyMap<HotRoom, readonly UserId[]> {
  return new Map(reads.flatMap((read) => withHot(hot, read.room, [...read.members, ...namedMembers(read)])));
}

function selectFrom(hot: HotRoom, read: RoomReads): readonly StateEvent[] {
  const named = read.state.some(isAnyMember) ? [] : [...membersFrom(hot, namedMembers(read)).values()];
  return [...hot.select(read.state), ...named];
}

function membersFrom(hot: HotRoom, users: readonly UserId[]): ReadonlyMap<UserId, StateEvent> {
  const found = new Map<UserId, StateEvent>();
  for (const userId of users) {
    const event = hot.member(userId);
    if (event !== undefined && event !== "unknown") found.set(userId, event);
  }
  return found;
}

async function readTimelines(
  db: Queryable,
  hot: ReadonlyMap<RoomNid, HotRoom>,
  reads: readonly RoomReads[],
  to: StreamPosition,
): Promise<ReadonlyMap<RoomNid, Timeline>> {
  const found = new Map<RoomNid, Timeline>();
  const missing: RoomReads[] = [];
  for (const read of reads) {
    if (read.timelineEvents === 0) continue;
    const known = hot.get(read.room);
    const timeline = known?.newest(read.timelineEvents, to, read.upToOrderKey);
    if (known === undefined || timeline === undefined) missing.push(read);
    else found.set(read.room, { timeline, chunks: known.chunks });
  }
  if (missing.length === 0) return found;
  const wanted = missing.map(({ room, timelineEvents, upToOrderKey }) => ({
    room,
    count: timelineEvents + SLACK_EVENTS,
    upToOrderKey,
  }));
  const rows = await selectTails(db, wanted, to);
  const chunks: ReadonlyMap<ChunkNid, Chunk> = await selectChunks(db, [...new Set(rows.map(({ chunk }) => chunk))]);
  const byRoom = Map.groupBy(rows, (row) => row.room as RoomNid);
  for (const { room, timelineEvents } of missing) {
    const events = (byRoom.get(room) ?? []).map(toReadEvent).sort((a, b) => a.orderKey - b.orderKey);
    found.set(room, { timeline: events.slice(-timelineEvents), chunks });
  }
  return found;
}

async function readChanged(
  db: Queryable,
  hot: ReadonlyMap<RoomNid, HotRoom>,
  reads: readonly RoomReads[],
  to: StreamPosition,
): Promise<ReadonlyMap<RoomNid, readonly StateEvent[]>> {
  const found = new Map<RoomNid, readonly StateEvent[]>();
  const missing: { room: RoomNid; after: StreamPosition }[] = [];
  for (const { room, changedAfter } of reads) {
    if (changedAfter === undefined) continue;
    const known = hot.get(room)?.changedIn(changedAfter, to);
    if (known === undefined) missing.push({ room, after: changedAfter });
    else found.set(room, known);
  }
  const rows = await selectDeltas(db, missing, to);
  for (const [room, own] of Map.groupBy(rows, (row) => row.room as RoomNid)) found.set(room, own.map(toStateEvent));
  return found;
}

function lastOfEachKey(events: readonly StateEvent[]): readonly StateEvent[] {
  return [...new Map(events.map((event) => [`${event.type}\0${event.stateKey}`, event])).values()];
}

async function readAllMembers(
  db: Queryable,
  reads: readonly RoomReads[],
): Promise<ReadonlyMap<RoomNid, readonly StateEvent[]>> {
  const rooms = reads.filter(({ state }) => state.some(isAnyMember)).map(({ room }) => room);
  const rows = await selectAllMembers(db, rooms);
  return new Map(
    [...Map.groupBy(rows, (row) => row.room as RoomNid)].map(([room, own]) => [room, own.map(toStateEvent)]),
  );
}

async function readOwnMembers(
  db: Queryable,
  reads: readonly RoomReads[],
  reader: ReadFor,
): Promise<ReadonlyMap<RoomNid, StateEvent>> {
  const rooms = reads.filter(({ ownMember }) => ownMember).map(({ room }) => room);
  const rows = await selectOwnMembers(db, reader.userNid, rooms);
  return new Map(rows.map((row) => [row.room as RoomNid, toStateEvent(row)]));
}

/** Only events that the reader sent can carry one. */
async function readTransactionIds(
  db: Queryable,
  timelines: ReadonlyMap<RoomNid, Timeline>,
  reader: ReadFor,
): Promise<ReadonlyMap<EventNid, string>> {
  const own: ReadEvent[] = [];
  for (const { timeline } of timelines.values()) own.push(...timeline.filter(({ sender }) => sender === reader.userId));
  return (await selectTransactionIds(
    db,
    reader.deviceNid,
    own.map(({ nid }) => nid),
  )) as ReadonlyMap<EventNid, string>;
}
