// Builders for tests of the engine: one reader, rooms that grow in plain arrays, and the reads that a store would do over them.
// Imports no code of src/engine, so that what it reads does not depend on what is tested.
import type { ListFilters, ListRequest, RequiredState, RoomConfig, SyncRequest } from "../../src/engine/request.ts";
import type { ReaderRooms, ReaderView, RoomFacts } from "../../src/engine/view.ts";
import type { ExtensionData, ExtensionReads } from "../../src/model/extension-reads.ts";
import type { ChunkNid, EventId, EventNid, RoomId, RoomNid, UserId, UserNid } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import { ORDER_KEY_STEP } from "../../src/model/room-facts.ts";
import type { ReadEvent, RemovedState, RoomData, RoomReads } from "../../src/model/room-reads.ts";
import type { Chunk, StateEvent } from "../../src/model/stored-event.ts";
import { BEFORE_ALL, type StreamPosition } from "../../src/model/stream-position.ts";
import { Visibility } from "../../src/model/visibility.ts";
import { TestDevice } from "./engine-device.ts";
import type { EventOptions, ReaderMove, StateChange } from "./engine-facts.ts";
import { TestPersonal } from "./engine-personal.ts";
import { factColumns, NEIGHBOUR_BITS, neighboursOf, readerColumns } from "./room-columns.ts";

export const alice = "@alice:example.org" as UserId;
export const bob = "@bob:example.org" as UserId;
export const carol = "@carol:example.org" as UserId;
export const ALICE_NID = 1 as UserNid;
export const BOB_NID = 2 as UserNid;

const MEMBERSHIP_NAMES = { 1: "join", 2: "invite", 3: "knock", 4: "leave", 5: "ban" } as const;

/** One room as a store would hold it, and the reader's part in it. */
export class TestRoom {
  readonly room: RoomNid;
  readonly roomId: RoomId;
  readonly #world: TestWorld;
  readonly timeline: ReadEvent[] = [];
  readonly chunks = new Map<ChunkNid, Chunk>();
  readonly stateChanges: StateChange[] = [];
  readonly transactionIds = new Map<EventNid, string>();
  readonly attributed = new Set<EventNid>();
  chunk: ChunkNid;
  activity = 0;
  bumpStamp = 0;
  changedAt = 0 as StreamPosition;
  isComplete = true;
  isEncrypted = false;
  encryptionOrderKey: number | undefined;
  /** All members are known. */
  membersKnownAt: StreamPosition | undefined = 1 as StreamPosition;
  roomType: string | undefined;
  name: string | undefined;
  avatar: string | undefined;
  joinedCount: number | undefined = 1;
  invitedCount: number | undefined = 0;
  /** The reader has or had something to do with the room. */
  isOfReader = true;
  membership: Membership = Membership.join;
  readerChangedAt = 0 as StreamPosition;
  since = 0 as StreamPosition;
  /** When the reader's membership began, where it was learnt later. */
  sinceUs: number | undefined;
  sinceOrderKey: number | undefined;
  isDoneWith = false;
  isForgotten = false;
  isRecalled = false;
  departure: StateEvent | undefined;
  notificationCount = 0;
  highlightCount = 0;
  heroes: readonly UserId[] = [];
  heroesAt = 0 as StreamPosition;
  strippedState: Buffer | undefined;
  /** Reading it fails. */
  isBroken = false;

  constructor(world: TestWorld, room: number) {
    this.#world = world;
    this.room = room as RoomNid;
    this.roomId = `!room${room}:example.org` as RoomId;
    this.chunk = this.beginChunk({ isStart: true });
  }

  beginChunk(chunk: Partial<Chunk> = {}): ChunkNid {
    this.chunk = this.#world.nextNid() as number as ChunkNid;
    this.chunks.set(this.chunk, { attestedFor: undefined, continues: false, isStart: false, ...chunk });
    return this.chunk;
  }

  /** Learns an event at a new position, at the end of the timeline. */
  send(options: EventOptions = {}): ReadEvent {
    return this.add(options, this.#world.nextPosition());
  }

  message(sender: UserId = bob): ReadEvent {
    return this.send({ type: "m.room.message", sender });
  }

  setState(type: string, stateKey = "", content: object = {}, sender: UserId = bob): ReadEvent {
    return this.send({ type, stateKey, content, sender });
  }

  setMember(userId: UserId, membership = "join", content: object = {}, sender: UserId = userId): ReadEvent {
    return this.send({ type: "m.room.member", stateKey: userId, content: { ...content, membership }, sender });
  }

  /** Learns an event with others at one position. */
  add(options: EventOptions, position: StreamPosition): ReadEvent {
    const event = this.#event(options, position, (this.timeline.at(-1)?.orderKey ?? 0) + ORDER_KEY_STEP, this.chunk);
    if (options.isOutOfTimeline !== true) {
      this.timeline.push(event);
      this.activity = position;
      if (event.type === "m.room.message" || event.type === "m.room.create") this.bumpStamp = position;
    }
    return event;
  }

  /** Learns late, now, of an event that stands before a known one, in the chunk that is given. */
  insert(next: ReadEvent, chunk: ChunkNid, options: EventOptions = {}): ReadEvent {
    const at = this.timeline.indexOf(next);
    const orderKey = ((this.timeline[at - 1]?.orderKey ?? 0) + next.orderKey) / 2;
    const event = this.#event(options, this.#world.nextPosition(), orderKey, chunk);
    this.timeline.splice(at, 0, event);
    return event;
  }

  /** State resolution takes a value away, now: no event says so. */
  removeState(type: string, stateKey = ""): void {
    this.changedAt = this.#world.nextPosition();
    this.stateChanges.push({ type, stateKey, event: undefined, position: this.changedAt });
    this.#columns(type, {});
  }

  /** All members are known from now on: these as well, of whom no stream has told. They are learnt, and no change. */
  learnMembers(...users: readonly UserId[]): void {
    for (const userId of users) {
      const content = { membership: "join" };
      const member = { type: "m.room.member", stateKey: userId, sender: userId, content, isOutOfTimeline: true };
      this.add(member, BEFORE_ALL);
    }
    this.membersKnownAt = this.#world.nextPosition();
    this.changedAt = this.membersKnownAt;
  }

  /** Sets the reader's own membership, now. */
  setReader(membership: Membership, options: ReaderMove = {}): ReadEvent {
    const { sender = alice, isOutOfTimeline = false, previous, ...others } = options;
    const content = { membership: MEMBERSHIP_NAMES[membership] };
    const own = { type: "m.room.member", stateKey: alice, content, sender, isOutOfTimeline };
    const event = this.send({ ...others, ...own });
    this.#moveReader(membership, sender, event.position);
    this.sinceOrderKey = isOutOfTimeline ? undefined : event.orderKey;
    const unsigned = previous && Buffer.from(JSON.stringify({ prev_content: { membership: previous } }));
    this.departure = { ...event, unsigned } as StateEvent;
    return event;
  }

  /** The reader is invited or knocks, and nobody whose stream is read is in the room: no event is stored. */
  setStripped(membership: Membership, sender: UserId): void {
    this.#moveReader(membership, sender, this.#world.nextPosition());
  }

  /** State resolution took the reader's membership away. */
  loseReader(): void {
    this.removeState("m.room.member", alice);
    this.#moveReader(Membership.leave, alice, this.changedAt);
  }

  /** The reader has forgotten the room, and is out of it. */
  forget(): void {
    this.isDoneWith = true;
    this.isForgotten = true;
    this.readerChangedAt = this.#world.nextPosition();
  }

  #moveReader(membership: Membership, sender: UserId, position: StreamPosition): void {
    this.isOfReader = true;
    this.membership = membership;
    this.since = position;
    this.heroesAt = position;
    this.readerChangedAt = position;
    this.sinceOrderKey = undefined;
    this.isDoneWith = membership === Membership.leave && sender === alice;
    this.isForgotten = false;
    this.isRecalled = false;
    this.departure = undefined;
    const content = { membership: MEMBERSHIP_NAMES[membership] };
    this.strippedState = Buffer.from(JSON.stringify([{ type: "m.room.member", state_key: alice, sender, content }]));
  }

  setCounts(notificationCount: number, highlightCount = 0): void {
    this.notificationCount = notificationCount;
    this.highlightCount = highlightCount;
    this.readerChangedAt = this.#world.nextPosition();
  }

  /** Others are named than before. */
  setHeroes(heroes: readonly UserId[]): void {
    this.heroes = heroes;
    this.heroesAt = this.#world.nextPosition();
    this.readerChangedAt = this.heroesAt;
  }

  /** The newest value of each state key at or below `to`. */
  stateAt(to: StreamPosition, after = -1): ReadonlyMap<string, StateEvent> {
    const state = new Map<string, StateEvent>();
    for (const { type, stateKey, event, position } of this.stateChanges) {
      if (position > to || position <= after) continue;
      if (event === undefined) state.delete(`${type} ${stateKey}`);
      else state.set(`${type} ${stateKey}`, event);
    }
    return state;
  }

  /** State keys that lost their value in `(after, to]` and have none. */
  removedIn(after: StreamPosition, to: StreamPosition): readonly RemovedState[] {
    const state = this.stateAt(to);
    return this.stateChanges.filter(
      ({ type, stateKey, event, position }) =>
        event === undefined && position > after && position <= to && !state.has(`${type} ${stateKey}`),
    );
  }

  #event(options: EventOptions, position: StreamPosition, orderKey: number, chunk: ChunkNid): ReadEvent {
    const nid = this.#world.nextNid();
    const { type = "m.room.message", stateKey, sender = bob, content = {} } = options;
    const state = stateKey === undefined ? {} : { state_key: stateKey };
    const wire = { type, sender, event_id: `$${nid}`, origin_server_ts: nid, content, ...state };
    const event: ReadEvent = {
      nid,
      eventId: wire.event_id as EventId,
      type,
      stateKey,
      sender,
      originServerTsMs: nid,
      position,
      visibility: options.visibility ?? Visibility.shared,
      body: Buffer.from(JSON.stringify(wire)),
      unsigned: undefined,
      orderKey,
      chunk,
      tokenBefore: options.tokenBefore,
      tokenAfter: options.tokenAfter,
    };
    this.changedAt = position;
    if (stateKey !== undefined) {
      this.stateChanges.push({ type, stateKey, event: event as StateEvent, position });
      this.#columns(type, content);
    }
    return event;
  }

  #columns(type: string, content: object): void {
    const { name, url, type: roomType }: { name?: string; url?: string; type?: string } = content;
    if (type === "m.room.name") this.name = name || undefined;
    if (type === "m.room.avatar") this.avatar = url || undefined;
    if (type === "m.room.encryption") this.isEncrypted = true;
    if (type === "m.room.create") this.roomType = roomType;
  }
}

/** The reader, all rooms, and the one order of facts. */
export class TestWorld {
  readonly rooms: TestRoom[] = [];
  announcedJoined: number | undefined;
  readonly device = new TestDevice();
  /** Receipts, typing and account data. */
  readonly personal = new TestPersonal(this);
  ignored: ReadonlySet<UserId> = new Set();
  direct: ReadonlySet<RoomId> = new Set();
  readonly tags = new Map<RoomNid, ReadonlySet<string>>();
  readonly children = new Map<RoomNid, ReadonlySet<RoomId>>();
  /** Never 0: that stands before everything. */
  position = 1000 as StreamPosition;
  #nid = 0;

  nextPosition(): StreamPosition {
    this.position = (this.position + 10) as StreamPosition;
    return this.position;
  }

  nextNid(): EventNid {
    return ++this.#nid as EventNid;
  }

  /** A room without any event. */
  emptyRoom(): TestRoom {
    const room = new TestRoom(this, this.rooms.length + 1);
    this.rooms.push(room);
    return room;
  }

  /** A room that alice joined long ago. */
  joinedRoom(messages = 0): TestRoom {
    const room = this.emptyRoom();
    room.setState("m.room.create");
    room.setMember(bob);
    room.setReader(Membership.join);
    for (let index = 0; index < messages; index++) room.message();
    return room;
  }

  view(): ReaderView {
    return {
      userNid: ALICE_NID,
      userId: alice,
      facts: { ...factsOf(this.rooms), ...this.personal.facts },
      rooms: readerRoomsOf(this.rooms.filter(({ isOfReader }) => isOfReader)),
      own: { announcedJoined: this.announcedJoined, ignored: this.ignored, direct: this.direct },
      device: this.device.facts,
      accountData: this.personal.accountDataChanges,
      tags: this.tags,
      childrenOf: (space) => this.children.get(space) ?? new Set(),
    };
  }

  read(reads: readonly RoomReads[], to: StreamPosition = this.position): ReadonlyMap<RoomNid, RoomData> {
    const data = new Map<RoomNid, RoomData>();
    for (const read of reads) {
      const room = this.rooms[read.room - 1]!;
      if (!room.isBroken) data.set(read.room, readRoom(room, read, to));
    }
    return data;
  }

  readExtensions(reads: ExtensionReads, to: StreamPosition = this.position): ExtensionData {
    return { ...this.device.read(reads, to), ...this.personal.read(reads, to) };
  }

  withHeroes(data: ReadonlyMap<RoomNid, RoomData>, rooms: readonly RoomNid[]): ReadonlyMap<RoomNid, RoomData> {
    const heroesOf = (room: RoomNid, known: RoomData) =>
      rooms.includes(room) ? this.rooms[room - 1]!.heroes : known.heroes;
    return new Map([...data].map(([room, known]) => [room, { ...known, heroes: heroesOf(room, known) }]));
  }

  readMembers(
    reads: ReadonlyMap<RoomNid, readonly UserId[]>,
    to: StreamPosition = this.position,
  ): ReadonlyMap<RoomNid, ReadonlyMap<UserId, StateEvent>> {
    return new Map([...reads].map(([room, users]) => [room, membersOf(this.rooms[room - 1]!, users, to)] as const));
  }
}

function readRoom(room: TestRoom, read: RoomReads, to: StreamPosition): RoomData {
  const { upToOrderKey = Number.POSITIVE_INFINITY } = read;
  const shown = room.timeline.filter((event) => event.position <= to && event.orderKey <= upToOrderKey);
  const timeline = read.timelineEvents === 0 ? [] : shown.slice(-read.timelineEvents);
  const isWanted = (event: StateEvent) =>
    read.state.some(
      ({ type, stateKey }) =>
        (type === undefined ? event.type !== "m.room.member" : type === event.type) &&
        (stateKey === undefined || stateKey === event.stateKey),
    );
  return {
    timeline,
    chunks: new Map([...room.chunks].filter(([chunk]) => timeline.some((event) => event.chunk === chunk))),
    state: [...[...room.stateAt(to).values()].filter(isWanted), ...stateAtDeparture(room, read)],
    members: membersOf(room, read.members, to),
    changed: read.changedAfter === undefined ? [] : [...room.stateAt(to, read.changedAfter).values()],
    removed: read.changedAfter === undefined ? [] : room.removedIn(read.changedAfter, to),
    ownMember: read.ownMember ? room.departure : undefined,
    heroes: read.heroes ? room.heroes : undefined,
    transactionIds: room.transactionIds,
    attributed: room.attributed,
  };
}

function stateAtDeparture(room: TestRoom, { upToOrderKey = 0, ...read }: RoomReads): readonly StateEvent[] {
  if (read.stateAtDeparture === undefined) return [];
  const { selectors, knownAt } = read.stateAtDeparture;
  const placed = new Map<EventNid, ReadEvent>(room.timeline.map((event) => [event.nid, event]));
  const values = new Map<string, StateEvent>();
  for (const { event } of room.stateChanges) {
    if (event === undefined) continue;
    const isAfter = (placed.get(event.nid)?.orderKey ?? 0) > upToOrderKey;
    if (!isAfter) values.set(`${event.type} ${event.stateKey}`, event);
  }
  const isKnown = ({ nid, position }: StateEvent) => placed.has(nid) || position <= knownAt;
  const isWanted = (event: StateEvent) =>
    selectors.some(
      ({ type = event.type, stateKey = event.stateKey }) => type === event.type && stateKey === event.stateKey,
    );
  return [...values.values()].filter((event) => isKnown(event) && isWanted(event));
}

function membersOf(room: TestRoom, users: readonly UserId[], to: StreamPosition): ReadonlyMap<UserId, StateEvent> {
  const state = room.stateAt(to);
  return new Map(
    users.flatMap((userId) => {
      const event = state.get(`m.room.member ${userId}`);
      return event === undefined ? [] : [[userId, event] as const];
    }),
  );
}

function factsOf(rooms: readonly TestRoom[]): Omit<RoomFacts, keyof TestPersonal["facts"]> {
  const at = (room: RoomNid): TestRoom => rooms[room - 1]!;
  return {
    get columns() {
      return factColumns(rooms);
    },
    roomId: (room) => at(room).roomId,
    activity: (room) => at(room).activity,
    bumpStamp: (room) => at(room).bumpStamp,
    changedAt: (room) => at(room).changedAt,
    changedNear: (room) => {
      const neighbours = neighboursOf(rooms, room >> NEIGHBOUR_BITS);
      return Math.max(...neighbours.map(({ changedAt }) => changedAt)) as StreamPosition;
    },
    isComplete: (room) => at(room).isComplete,
    membersKnownAt: (room) => at(room).membersKnownAt,
    isEncrypted: (room) => at(room).isEncrypted,
    encryptionOrderKey: (room) => at(room).encryptionOrderKey,
    roomType: (room) => at(room).roomType,
    name: (room) => at(room).name,
    avatar: (room) => at(room).avatar,
    joinedCount: (room) => at(room).joinedCount,
    invitedCount: (room) => at(room).invitedCount,
  };
}

function readerRoomsOf(rooms: readonly TestRoom[]): ReaderRooms {
  const at = (index: number): TestRoom => rooms[index]!;
  return {
    size: rooms.length,
    get columns() {
      return readerColumns(rooms);
    },
    room: (index) => at(index).room,
    membership: (index) => at(index).membership,
    changedAt: (index) => at(index).readerChangedAt,
    newestChange: Math.max(0, ...rooms.map(({ readerChangedAt }) => readerChangedAt)) as StreamPosition,
    since: (index) => at(index).since,
    activityOutside: (index) => at(index).sinceUs ?? at(index).since,
    isDoneWith: (index) => at(index).isDoneWith,
    isForgotten: (index) => at(index).isForgotten,
    isRecalled: (index) => at(index).isRecalled,
    sinceOrderKey: (index) => at(index).sinceOrderKey,
    heroesAt: (index) => at(index).heroesAt,
    notificationCount: (index) => at(index).notificationCount,
    highlightCount: (index) => at(index).highlightCount,
    strippedState: (index) => at(index).strippedState,
    indexOf: (room) => rooms.findIndex((each) => each.room === room),
    findRoom: (roomId) => rooms.find((each) => each.roomId === roomId)?.room,
  };
}

export const NO_FILTERS: ListFilters = {
  isDm: undefined,
  isInvite: undefined,
  isEncrypted: undefined,
  roomTypes: undefined,
  notRoomTypes: undefined,
  tags: undefined,
  notTags: undefined,
  spaces: undefined,
};

/** `"type key"`; `*` for a part that matches anything; `lazy` for lazy members. */
export function requiredState(...entries: readonly string[]): RequiredState {
  const part = (text: string | undefined) => (text === "*" ? undefined : (text ?? ""));
  const selectors = entries
    .filter((entry) => entry !== "lazy")
    .map((entry) => {
      const [type, stateKey] = entry.split(" ");
      return { type: part(type), stateKey: part(stateKey) };
    });
  return { selectors, lazyMembers: entries.includes("lazy") };
}

export const config = (timelineLimit: number, ...state: readonly string[]): RoomConfig => ({
  timelineLimit,
  requiredState: requiredState(...state),
});

export const list = (
  ranges: readonly (readonly [number, number])[] | "all",
  roomConfig: RoomConfig = config(10),
  filters: Partial<ListRequest["filters"]> = {},
): ListRequest => ({
  ranges: ranges === "all" ? "all" : ranges.map(([first, last]) => ({ first, last })),
  filters: { ...NO_FILTERS, ...filters },
  config: roomConfig,
});

export const request = (
  lists: Readonly<Record<string, ListRequest>> = {},
  subscriptions: ReadonlyMap<RoomId, RoomConfig> = new Map(),
  more: Partial<SyncRequest> = {},
): SyncRequest => ({
  connId: "test",
  pos: undefined,
  timeoutMs: 0,
  lists: new Map(Object.entries(lists)),
  subscriptions,
  subscriptionMode: "replace",
  unsubscribed: [],
  extensions: {},
  ...more,
});
