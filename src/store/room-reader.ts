import type { DeviceNid, EventNid, RoomNid, UserId, UserNid } from "../model/ids.ts";
import type { ReadEvent, RemovedState, RoomData, RoomReads } from "../model/room-reads.ts";
import type { StateEvent } from "../model/stored-event.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { chunksOf, type EventRow, toReadEvent, toStateEvent } from "./event-rows.ts";
import type { HotRoom } from "./hot-room.ts";
import type { HotRooms } from "./hot-rooms.ts";
import { selectAllMembers, selectOwnMembers } from "./member-selects.ts";
import { selectRecalled } from "./recalled-departures.ts";
import {
  type DeltaRow,
  selectDeltas,
  selectHeroes,
  selectMembershipMove,
  selectStateAt,
  selectTails,
  selectTransactionIds,
} from "./room-selects.ts";

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
type Members = ReadonlyMap<UserId, StateEvent>;

/**
 * Reads what one answer needs of its rooms: one query per kind of data for all of them, none for what is in memory.
 *
 * The timeline ends at the answer's position. State does not: its newest values are read, and the reader may have been put
 * out of the room before they came. {@link movedAt} tells.
 */
export class RoomReader {
  readonly #deps: RoomReaderDeps;
  readonly #for: ReadFor;
  #hot: ReadonlyMap<RoomNid, HotRoom> = new Map();
  readonly #readAhead = new Set<RoomNid>();

  constructor(deps: RoomReaderDeps, readFor: ReadFor) {
    this.#deps = deps;
    this.#for = readFor;
  }

  async rooms(reads: readonly RoomReads[]): Promise<ReadonlyMap<RoomNid, RoomData>> {
    const { db, hotRooms } = this.#deps;
    const { to } = this.#for;
    if (reads.length === 0) return new Map();
    const inMemory = reads.filter(isOfRoom).map((read): [RoomNid, number] => [read.room, read.timelineEvents]);
    const named = new Map(reads.map((read) => [read.room, [...read.members, ...namedMembers(read)]]));
    const [hot, heroes] = await Promise.all([
      hotRooms.get(new Map(inMemory), to, named),
      selectHeroes(db, this.#for.userNid, withHeroes(reads)),
    ]);
    this.#hot = hot;
    const [[timelines, sent], changed, allMembers, departed, recalled, ownMembers, members] = await Promise.all([
      readTimelines(db, hot, reads, to).then(
        async (found) => [found, await readSent(db, found, reads, this.#for)] as const,
      ),
      readChanged(db, hot, reads, to),
      readAllMembers(db, reads),
      readStateAtDeparture(db, reads),
      readRecalled(db, reads, this.#for),
      readOwnMembers(db, reads, this.#for),
      this.#members(named),
    ]);
    const stateOf = (read: RoomReads): readonly StateEvent[] => [
      ...(hot.get(read.room)?.select(read.state) ?? []),
      ...(allMembers.get(read.room) ?? only(members.get(read.room), namedMembers(read))),
      ...(departed.get(read.room) ?? []),
    ];
    const dataOf = (read: RoomReads): RoomData => ({
      ...(timelines.get(read.room) ?? NO_TIMELINE),
      state: this.#watched(read.room, stateOf(read)),
      members: new Map(only(members.get(read.room), read.members).map((event) => [event.stateKey as UserId, event])),
      ...recalled.get(read.room),
      ...lastOfEachKey(changed.get(read.room) ?? []),
      ownMember: ownMembers.get(read.room),
      heroes: heroes.get(read.room),
      ...sent,
    });
    return new Map(reads.map((read) => [read.room, dataOf(read)]));
  }

  /** What was read, and the heroes of these rooms. */
  async withHeroes(
    data: ReadonlyMap<RoomNid, RoomData>,
    rooms: readonly RoomNid[],
  ): Promise<ReadonlyMap<RoomNid, RoomData>> {
    if (rooms.length === 0) return data;
    const heroes = await selectHeroes(this.#deps.db, this.#for.userNid, rooms);
    return new Map([...data].map(([room, known]) => [room, { ...known, heroes: heroes.get(room) ?? known.heroes }]));
  }

  /** Member events of single users, of rooms that {@link rooms} has read. */
  async members(wanted: ReadonlyMap<RoomNid, readonly UserId[]>): Promise<ReadonlyMap<RoomNid, Members>> {
    return await this.#members(wanted);
  }

  /**
   * When the reader's membership last became another after the answer's position, in any room of which something newer was
   * read, or in `others`. undefined: it did not, so that all that was read may be shown.
   */
  async movedAt(others: readonly RoomNid[]): Promise<StreamPosition | undefined> {
    const rooms = new Set([...this.#readAhead, ...others]);
    return await selectMembershipMove(this.#deps.db, this.#for.userNid, [...rooms], this.#for.to);
  }

  async #members(wanted: ReadonlyMap<RoomNid, readonly UserId[]>): Promise<ReadonlyMap<RoomNid, Members>> {
    const ofHot = new Map<HotRoom, readonly UserId[]>();
    for (const [room, users] of wanted) {
      const hot = this.#hot.get(room);
      if (hot !== undefined && users.length > 0) ofHot.set(hot, users);
    }
    const found = new Map<RoomNid, Members>();
    for (const [room, events] of await this.#deps.hotRooms.members(ofHot)) {
      const known = new Map<UserId, StateEvent>();
      for (const [userId, event] of events) if (event !== undefined) known.set(userId, event);
      this.#watched(room, [...known.values()]);
      found.set(room, known);
    }
    return found;
  }

  #watched(room: RoomNid, events: readonly StateEvent[]): readonly StateEvent[] {
    if (events.some(({ position }) => position > this.#for.to)) this.#readAhead.add(room);
    return events;
  }
}

const NO_TIMELINE: Timeline = { timeline: [], chunks: new Map() };

const isAnyMember = ({ type, stateKey }: { type: string | undefined; stateKey: string | undefined }): boolean =>
  stateKey === undefined && (type === undefined || type === "m.room.member");

/** Single members that the state selectors name. */
const namedMembers = ({ state }: RoomReads): readonly UserId[] =>
  state.flatMap(({ type, stateKey }) =>
    stateKey !== undefined && stateKey !== "" && (type === undefined || type === "m.room.member")
      ? [stateKey as UserId]
      : [],
  );

/** Whether more is wanted than the reader's own part. */
const isOfRoom = ({ isRecalled, timelineEvents, state, members, changedAfter }: RoomReads): boolean =>
  isRecalled !== true && (timelineEvents > 0 || state.length > 0 || members.length > 0 || changedAfter !== undefined);

const withHeroes = (reads: readonly RoomReads[]): readonly RoomNid[] =>
  reads.filter(({ heroes }) => heroes).map(({ room }) => room);

const only = (known: Members | undefined, users: readonly UserId[]): readonly StateEvent[] =>
  users.flatMap((userId) => known?.get(userId) ?? []);

async function readTimelines(
  db: Queryable,
  hot: ReadonlyMap<RoomNid, HotRoom>,
  reads: readonly RoomReads[],
  to: StreamPosition,
): Promise<ReadonlyMap<RoomNid, Timeline>> {
  const found = new Map<RoomNid, Timeline>();
  const missing: RoomReads[] = [];
  for (const read of reads) {
    if (read.timelineEvents === 0 || read.isRecalled === true) continue;
    const known = hot.get(read.room);
    const timeline = known?.newest(read.timelineEvents, to, read.upToOrderKey);
    if (known === undefined || timeline === undefined) missing.push(read);
    else found.set(read.room, { timeline, chunks: known.chunks });
  }
  if (missing.length === 0) return found;
  const wanted = missing.map(({ room, timelineEvents, upToOrderKey }) => ({
    room,
    count: timelineEvents,
    upToOrderKey,
  }));
  const byRoom = Map.groupBy(await selectTails(db, wanted, to), (row) => row.room as RoomNid);
  for (const { room } of missing) {
    const rows = byRoom.get(room) ?? [];
    const events = rows.map(toReadEvent).sort((a, b) => a.orderKey - b.orderKey);
    found.set(room, { timeline: events, chunks: chunksOf(rows) });
  }
  return found;
}

async function readChanged(
  db: Queryable,
  hot: ReadonlyMap<RoomNid, HotRoom>,
  reads: readonly RoomReads[],
  to: StreamPosition,
): Promise<ReadonlyMap<RoomNid, readonly StateDelta[]>> {
  const found = new Map<RoomNid, readonly StateDelta[]>();
  const missing: { room: RoomNid; after: StreamPosition }[] = [];
  for (const { room, changedAfter } of reads) {
    if (changedAfter === undefined) continue;
    const known = hot.get(room)?.changedIn(changedAfter, to);
    if (known === undefined) missing.push({ room, after: changedAfter });
    else found.set(room, known);
  }
  const rows = await selectDeltas(db, missing, to);
  for (const [room, own] of Map.groupBy(rows, (row) => row.delta_room as RoomNid)) found.set(room, own.map(toDelta));
  return found;
}

type StateDelta = StateEvent | RemovedState;

const toDelta = (row: DeltaRow): StateDelta =>
  row.nid === null ? { type: row.delta_type, stateKey: row.delta_key } : toStateEvent(row);

const isRemoved = (delta: StateDelta): delta is RemovedState => !("nid" in delta);

function lastOfEachKey(deltas: readonly StateDelta[]): Pick<RoomData, "changed" | "removed"> {
  const last = [...new Map(deltas.map((delta) => [`${delta.type}\0${delta.stateKey}`, delta])).values()];
  const changed = last.filter((delta): delta is StateEvent => !isRemoved(delta));
  return changed.length === last.length ? { changed } : { changed, removed: last.filter(isRemoved) };
}

async function readAllMembers(
  db: Queryable,
  reads: readonly RoomReads[],
): Promise<ReadonlyMap<RoomNid, readonly StateEvent[]>> {
  const rooms = reads.filter(({ state }) => state.some(isAnyMember)).map(({ room }) => room);
  return byRoom(await selectAllMembers(db, rooms));
}

async function readStateAtDeparture(
  db: Queryable,
  reads: readonly RoomReads[],
): Promise<ReadonlyMap<RoomNid, readonly StateEvent[]>> {
  const wanted = reads.flatMap(({ room, upToOrderKey: orderKey, stateAtDeparture }) =>
    stateAtDeparture === undefined || orderKey === undefined ? [] : [{ room, orderKey, ...stateAtDeparture }],
  );
  return byRoom(await selectStateAt(db, wanted));
}

const byRoom = (rows: readonly EventRow[]): ReadonlyMap<RoomNid, readonly StateEvent[]> =>
  new Map([...Map.groupBy(rows, (row) => row.room as RoomNid)].map(([room, own]) => [room, own.map(toStateEvent)]));

async function readRecalled(
  db: Queryable,
  reads: readonly RoomReads[],
  { userNid }: ReadFor,
): ReturnType<typeof selectRecalled> {
  const rooms = reads.filter(({ isRecalled }) => isRecalled === true).map(({ room }) => room);
  return await selectRecalled(db, userNid, rooms);
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

/** Only events that the reader sent can carry a transaction id, and no state: a client sets that without one. */
async function readSent(
  db: Queryable,
  timelines: ReadonlyMap<RoomNid, Timeline>,
  reads: readonly RoomReads[],
  reader: ReadFor,
): Promise<Pick<RoomData, "transactionIds" | "attributed">> {
  const nids = reads.flatMap(({ room, toldUpTo = BEFORE_ALL }) => {
    const { timeline } = timelines.get(room) ?? NO_TIMELINE;
    const isSent = ({ sender, stateKey, position }: ReadEvent) =>
      sender === reader.userId && stateKey === undefined && position > toldUpTo;
    return timeline.filter(isSent).map(({ nid }) => nid);
  });
  const known = await selectTransactionIds(db, reader.deviceNid, nids);
  const transactionIds = new Map<EventNid, string>();
  for (const [nid, id] of known) if (id !== undefined) transactionIds.set(nid, id);
  return { transactionIds, attributed: new Set(known.keys()) };
}
