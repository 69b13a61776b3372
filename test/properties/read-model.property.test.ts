import { setTimeout as pause } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { systemClock } from "../../src/lib/clock.ts";
import { ChangeStream } from "../../src/model/change.ts";
import type { EventId, RoomId, RoomNid, UserId } from "../../src/model/ids.ts";
import type { ReadEvent, RoomData, RoomReads } from "../../src/model/room-reads.ts";
import type { StateEvent } from "../../src/model/stored-event.ts";
import { BEFORE_ALL, type StreamPosition } from "../../src/model/stream-position.ts";
import { selectHead } from "../../src/store/changes.ts";
import type { Database } from "../../src/store/database.ts";
import { Follower } from "../../src/store/follower.ts";
import { HotRooms } from "../../src/store/hot-rooms.ts";
import { Memory } from "../../src/store/memory.ts";
import { RoomReader, type RoomReaderDeps } from "../../src/store/room-reader.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { Gates, gated } from "../support/gates.ts";
import { positionDifferences } from "../support/personal-positions.ts";
import { type JoinedBody, StoredWorld, type StreamUser, type WireEvent } from "../support/stored-world.ts";

/** Worlds that live beside each other in one case, each with its own users and rooms. */
const WORLDS = 4;
const CASES = 50;
const USERS = 3;
const ROOMS = 2;
const POOL = 100;

const PLENTY_BYTES = 64 * 1024 * 1024;

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const upTo = (max: number) => fc.integer({ min: 0, max });
const some = (max: number, maxLength: number) =>
  fc.uniqueArray(upTo(max), { maxLength }).map((picked) => picked.sort((a, b) => a - b));

/**
 * What one response says of one room. Its timeline is a run of the room's events that begins before the end of what was told
 * so far, with holes: some are known already, some come late.
 */
const section = fc.record({
  room: upTo(ROOMS - 1),
  kind: fc.constantFrom("join", "join", "join", "join", "join", "leave", "invite" as const),
  back: fc.constantFrom(0, 0, 0, 1, 5),
  length: upTo(6),
  holes: fc.constantFrom<readonly number[]>([], [], [1], [0, 3]),
  state: some(POOL - 1, 3),
  hasCreate: fc.boolean(),
  isStateAfter: fc.boolean(),
  limited: fc.boolean(),
  hasToken: fc.boolean(),
  counts: fc.option(upTo(3), { nil: undefined }),
  heroes: fc.option(some(USERS, 2), { nil: undefined }),
  joined: fc.option(upTo(9), { nil: undefined }),
  tags: fc.option(some(2, 2), { nil: undefined }),
  typing: fc.option(some(USERS, 2), { nil: undefined }),
  receipt: fc.option(upTo(POOL - 1), { nil: undefined }),
});
type Section = typeof section extends fc.Arbitrary<infer T> ? T : never;

const response = fc.record({
  user: upTo(USERS - 1),
  sections: fc.uniqueArray(section, { minLength: 1, maxLength: 3, selector: ({ room }) => room }),
  isLong: fc.boolean(),
  ignoresSomebody: fc.boolean(),
  isAnnounced: fc.constantFrom(true, true, false),
  accountData: fc.constantFrom([], [], [{ type: "m.direct", content: {} }], [{ type: "m.direct", content: { a: [] } }]),
});

/** What readers do meanwhile. */
const step = fc.oneof(
  { weight: 3, arbitrary: fc.record({ does: fc.constant("read reader" as const), user: upTo(USERS - 1) }) },
  {
    weight: 6,
    arbitrary: fc.record({
      does: fc.constant("read rooms" as const),
      rooms: some(ROOMS - 1, ROOMS),
      events: fc.constantFrom(0, 3, 21, 45),
      withMembers: fc.boolean(),
      back: upTo(4),
    }),
  },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("read spaces" as const), rooms: some(ROOMS - 1, ROOMS) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("forget reader" as const), user: upTo(USERS - 1) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("forget rooms" as const) }) },
  { weight: 3, arbitrary: fc.record({ does: fc.constant("follow" as const) }) },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

const plan = fc.record({
  responses: fc.array(response, { minLength: 8, maxLength: 20 }),
  readers: fc.array(fc.array(step, { minLength: 6, maxLength: 20 }), { minLength: 1, maxLength: 2 }),
  ranks: fc.array(upTo(1000), { minLength: 20, maxLength: 300 }),
  hotRoomBytes: fc.constantFrom(25_000, PLENTY_BYTES),
  readerBytes: fc.constantFrom(5_000, PLENTY_BYTES),
});

type Plan = typeof plan extends fc.Arbitrary<infer T> ? T : never;

const ANY_STATE = [{ type: undefined, stateKey: undefined }];
const STRANGER = "@stranger:test" as UserId;

/** Events that any stream may bring, in any order, as often as it likes. */
function poolOf(world: StoredWorld, users: readonly UserId[]): readonly WireEvent[] {
  const someone = (index: number) => users[index % users.length]!;
  const make = (index: number): WireEvent => {
    const sender = someone(index + 1);
    switch ((index * 7) % 10) {
      case 0:
        return world.state("m.room.name", sender, { name: index % 3 === 0 ? "" : `name ${index}` });
      case 1:
        return world.state("m.room.avatar", sender, { url: `mxc://test/${index}` });
      case 2:
      case 3:
      case 8:
      case 9:
        return world.member(
          index % 3 === 0 ? someone(index) : STRANGER,
          ["join", "leave", "ban", "invite"][index % 4],
          sender,
        );
      case 4:
        return world.state(
          "m.space.child",
          sender,
          index % 3 === 0 ? {} : { via: ["test"] },
          `!child${index % 4}:test`,
        );
      case 5:
        return world.state("m.room.history_visibility", sender, {
          history_visibility: index % 2 === 0 ? "joined" : "shared",
        });
      case 6:
        return index > 50 ? world.state("m.room.encryption", sender) : world.message(sender);
      default:
        return world.message(sender, { unsigned: { transaction_id: `txn${index}` } });
    }
  };
  return Array.from({ length: POOL }, (_, index) => make(index));
}

interface Room {
  readonly roomId: RoomId;
  readonly create: WireEvent;
  readonly pool: readonly WireEvent[];
  /** How many of the pool were told so far. */
  told: number;
}

const newMemory = (own: Database, budgets = { maxHotRoomBytes: PLENTY_BYTES, maxReaderBytes: PLENTY_BYTES }): Memory =>
  new Memory(own, { ...budgets, maxSpaceBytes: PLENTY_BYTES, maxDeviceBytes: PLENTY_BYTES, isWaitedFor: () => false });

/** One run: streams that are stored, and the memory of one process that follows. */
class Run {
  readonly world = new StoredWorld(db);
  readonly users: StreamUser[] = [];
  readonly rooms: Room[] = [];
  readonly memory: Memory;
  readonly follower: Follower;
  /** Positions at which something was read. */
  readonly positions: StreamPosition[] = [];
  readonly errors: Error[] = [];
  readonly gates: Gates;
  readonly #readDb: Database;

  constructor({ ranks, hotRoomBytes, readerBytes }: Plan) {
    let at = 0;
    this.gates = new Gates(() => ranks[at++ % ranks.length]!);
    this.#readDb = gated(db, this.gates);
    this.memory = newMemory(this.#readDb, { maxHotRoomBytes: hotRoomBytes, maxReaderBytes: readerBytes });
    this.follower = new Follower({
      db: this.#readDb,
      memory: this.memory,
      clock: systemClock,
      onAdvance: () => {},
      onError: (error) => this.errors.push(error),
    });
  }

  async start(name: string): Promise<void> {
    for (let user = 0; user < USERS; user++) this.users.push(await this.world.user(`${name}user${user}`));
    const userIds = [...this.users.map(({ userId }) => userId), STRANGER];
    for (let room = 0; room < ROOMS; room++) {
      const own = (event: WireEvent, index: number): WireEvent => ({
        ...event,
        event_id: `$${name}room${room}event${index}` as EventId,
      });
      const create = own(this.world.state("m.room.create", userIds[0]!), POOL);
      const roomId = `!${name}room${room}:test` as RoomId;
      this.rooms.push({ roomId, create, pool: poolOf(this.world, userIds).map(own), told: 0 });
    }
    await this.follower.start();
  }

  async store({ user, sections, isAnnounced, ...options }: typeof response extends fc.Arbitrary<infer T> ? T : never) {
    const byKind = Map.groupBy(sections, ({ kind }) => kind);
    const bodies = (kind: Section["kind"]) =>
      Object.fromEntries((byKind.get(kind) ?? []).map((each) => [this.rooms[each.room]!.roomId, this.#body(each)]));
    const invites = (byKind.get("invite") ?? []).map((each) => [
      this.rooms[each.room]!.roomId,
      { invite_state: { events: [{ type: "m.room.name", state_key: "", sender: "@x:test", content: {} }] } },
    ]);
    const rooms = { join: bodies("join"), leave: bodies("leave"), invite: Object.fromEntries(invites) };
    await this.gates.through(() => this.world.store(this.users[user]!, rooms, options));
    if (isAnnounced) this.follower.wake();
  }

  #body(section: Section): JoinedBody {
    const { back, length, holes, state, hasCreate, isStateAfter, limited, hasToken, counts, heroes, joined, tags } =
      section;
    const { typing, receipt } = section;
    const room = this.rooms[section.room]!;
    const { pool, create } = room;
    const start = Math.max(0, room.told - back);
    room.told = Math.max(room.told, Math.min(POOL, start + length));
    const run = pool.slice(start, start + length).filter((_, index) => !holes.includes(index));
    const ofState = state.map((index) => pool[index]!).filter((event) => event.state_key !== undefined);
    const events = hasCreate ? [create, ...ofState] : ofState;
    return {
      timeline: {
        events: run,
        limited,
        ...(hasToken && { prev_batch: `p${this.world.next()}` }),
      },
      ...(isStateAfter ? { state_after: { events } } : { state: { events } }),
      summary: {
        ...(heroes && { "m.heroes": heroes.map((hero) => `@hero${hero}:test`) }),
        ...(joined !== undefined && { "m.joined_member_count": joined }),
      },
      ...(tags !== undefined && { account_data: { events: [tagEvent(tags)] } }),
      ephemeral: {
        events: [
          ...(typing === undefined ? [] : [typingEvent(typing)]),
          ...(receipt === undefined ? [] : [this.#receiptEvent(receipt)]),
        ],
      },
      ...(counts !== undefined && { unread_notifications: { notification_count: counts, highlight_count: 0 } }),
    };
  }

  /** The further an event, the later it was read. */
  #receiptEvent(event: number) {
    const read = { "m.read": { [this.users[0]!.userId]: { ts: event } } };
    return { type: "m.receipt", content: { [`$event${event}`]: read } };
  }

  async do(step: Step): Promise<void> {
    switch (step.does) {
      case "read reader": {
        const { userNid, userId } = this.users[step.user]!;
        await this.memory.readers.get(userNid, userId);
        return;
      }
      case "read rooms":
        return await this.#readAndCompare(step);
      case "read spaces":
        await this.memory.spaces.load(this.known(step.rooms));
        return;
      case "forget reader":
        return this.memory.readers.forget(this.users[step.user]!.userNid);
      case "forget rooms":
        return this.memory.hotRooms.clear();
      case "follow":
        return this.follower.wake();
    }
  }

  /**
   * The timeline up to a position, and what changed between two, never become other than they were; nor does state that has
   * not changed since.
   */
  async #readAndCompare({ rooms, events, withMembers, back }: Extract<Step, { does: "read rooms" }>): Promise<void> {
    const to = this.follower.position;
    const more = {
      timelineEvents: events,
      members: withMembers ? [...this.users.map(({ userId }) => userId), STRANGER] : [],
      state: ANY_STATE,
      changedAfter: this.positions.at(-1 - back) ?? BEFORE_ALL,
    };
    this.positions.push(to);
    const known = this.known(rooms);
    const warm = await this.read(known, more, to);
    const cold = await this.gates.through(() => this.readAnew(known, more, to));
    expect(shown(warm).map(lasting)).toEqual(shown(cold).map(lasting));
    for (const [room, { state, members: ofUsers }] of cold) {
      const known = warm.get(room)!;
      expect(idsOf(known.state)).toEqual(expect.arrayContaining(idsOf(state.filter(({ position }) => position <= to))));
      const settled = [...ofUsers.values()].filter(({ position }) => position <= to);
      expect(idsOf([...known.members.values()])).toEqual(expect.arrayContaining(idsOf(settled)));
    }
  }

  /** Rooms by their index in {@link rooms}; those that nothing was stored of are left out. */
  known(rooms: readonly number[]): readonly RoomNid[] {
    return rooms.flatMap((room) => this.memory.columns.find(this.rooms[room]!.roomId) ?? []);
  }

  /** As this process has it. */
  read(rooms: readonly RoomNid[], more: Partial<RoomReads>, to: StreamPosition) {
    return this.#read({ db: this.#readDb, hotRooms: this.memory.hotRooms }, rooms, more, to);
  }

  /** As a process that has just started has it. */
  readAnew(rooms: readonly RoomNid[], more: Partial<RoomReads>, to: StreamPosition) {
    return this.#read({ db, hotRooms: new HotRooms(db, PLENTY_BYTES) }, rooms, more, to);
  }

  async #read(
    deps: RoomReaderDeps,
    rooms: readonly RoomNid[],
    more: Partial<RoomReads>,
    to: StreamPosition,
  ): Promise<ReadonlyMap<RoomNid, RoomData>> {
    const { userNid, userId, deviceNid } = this.users[0]!;
    const reads = rooms.map((room) => ({
      room,
      timelineEvents: 0,
      upToOrderKey: undefined,
      state: [],
      members: [],
      changedAfter: undefined,
      toldUpTo: undefined,
      ownMember: false,
      heroes: false,
      ...more,
    }));
    return await new RoomReader(deps, { userNid, userId, deviceNid, to }).rooms(reads);
  }

  async catchUp(): Promise<StreamPosition> {
    const head = await selectHead(db);
    while (this.follower.position < head) {
      expect(this.errors).toEqual([]);
      this.follower.wake();
      await pause(1);
    }
    return head;
  }
}

const typingEvent = (users: readonly number[]) => ({
  type: "m.typing",
  content: { user_ids: users.map((user) => `@typing${user}:test`) },
});

const tagEvent = (tags: readonly number[]) => ({
  type: "m.tag",
  content: { tags: Object.fromEntries(tags.map((tag) => [`u.tag${tag}`, {}])) },
});

const shownState = (events: Iterable<StateEvent>) =>
  [...events]
    .map(({ type, stateKey, eventId, position }) => ({ type, stateKey, eventId, position }))
    .sort((a, b) => (a.type + a.stateKey < b.type + b.stateKey ? -1 : 1));

const shownEvent = (event: ReadEvent, { chunks }: RoomData) => ({
  eventId: event.eventId,
  position: event.position,
  orderKey: event.orderKey,
  visibility: event.visibility,
  chunk: event.chunk,
  facts: chunks.get(event.chunk),
  tokenAfter: event.tokenAfter,
});

const shown = (data: ReadonlyMap<RoomNid, RoomData>) =>
  [...data].map(([room, each]) => ({
    room,
    timeline: each.timeline.map((event) => shownEvent(event, each)),
    state: shownState(each.state),
    members: shownState(each.members.values()),
    changed: shownState(each.changed),
    transactionIds: [...each.transactionIds].sort(),
  }));

const idsOf = (events: readonly StateEvent[]) => events.map(({ eventId }) => eventId);

/** Of a chunk it may turn out later that it continues another, and of an event that it is attested for more readers. */
const lasting = ({ room, timeline, changed }: ReturnType<typeof shown>[number]) => ({
  room,
  timeline: timeline.map(({ facts: _facts, chunk: _chunk, ...event }) => event),
  changed,
});

const columnsOf = ({ columns }: Memory, room: RoomNid) => ({
  roomId: columns.roomId(room),
  activity: columns.activity(room),
  bumpStamp: columns.bumpStamp(room),
  changedAt: columns.changedAt(room),
  isComplete: columns.isComplete(room),
  isEncrypted: columns.isEncrypted(room),
  encryptionOrderKey: columns.encryptionOrderKey(room),
  roomType: columns.roomType(room),
  name: columns.name(room),
  avatar: columns.avatar(room),
  joinedCount: columns.joinedCount(room),
  invitedCount: columns.invitedCount(room),
});

const CHANGE = {
  position: BEFORE_ALL,
  batch: 0,
  userNid: undefined,
  deviceNid: undefined,
  flags: 0,
  receivedUs: undefined,
  rooms: undefined,
};

async function readerOf(memory: Memory, { userNid, userId }: StreamUser) {
  const { rooms, tags } = await memory.readers.get(userNid, userId);
  const isConcerned = (room: RoomNid) => {
    const change = { ...CHANGE, stream: ChangeStream.room, room };
    return memory.readers.concernedBy([change]).has(userNid);
  };
  return Array.from({ length: rooms.size }, (_, index) => ({
    room: rooms.room(index),
    membership: rooms.membership(index),
    changedAt: rooms.changedAt(index),
    since: rooms.since(index),
    activityOutside: rooms.activityOutside(index),
    isDoneWith: rooms.isDoneWith(index),
    isForgotten: rooms.isForgotten(index),
    isRecalled: rooms.isRecalled(index),
    sinceOrderKey: rooms.sinceOrderKey(index),
    heroesAt: rooms.heroesAt(index),
    notificationCount: rooms.notificationCount(index),
    highlightCount: rooms.highlightCount(index),
    strippedState: rooms.strippedState(index)?.toString(),
    indexOf: rooms.indexOf(rooms.room(index)),
    isConcerned: isConcerned(rooms.room(index)),
    tags: tags.get(rooms.room(index)),
  }));
}

async function expectFresh(run: Run): Promise<void> {
  const text =
    "SELECT event_id FROM events LEFT JOIN chunks USING (chunk) WHERE order_key IS NOT NULL AND chunks.chunk IS NULL";
  expect(await db.query({ text, values: [] })).toEqual([]);
  const to = await run.catchUp();
  const fresh = newMemory(db);
  await fresh.columns.load(db);
  for (const user of run.users) expect(await readerOf(run.memory, user)).toEqual(await readerOf(fresh, user));
  for (const { roomId } of run.rooms) {
    const room = fresh.columns.find(roomId);
    expect(run.memory.columns.find(roomId)).toBe(room);
    if (room !== undefined) expect(columnsOf(run.memory, room)).toEqual(columnsOf(fresh, room));
  }

  const all = run.known(Array.from({ length: ROOMS }, (_, room) => room));
  expect(await positionDifferences(db, run.memory, run.users, all)).toEqual([]);
  for (const memory of [run.memory, fresh]) await memory.spaces.load(all);
  for (const room of all) expect(run.memory.spaces.of(room)).toEqual(fresh.spaces.of(room));
  const members = [...run.users.map(({ userId }) => userId), STRANGER];
  const changedAfter = [BEFORE_ALL, ...run.positions];
  for (const [index, after] of changedAfter.entries()) {
    const more = { timelineEvents: 1 + ((index * 11) % 60), state: ANY_STATE, members, changedAfter: after };
    const warm = await run.read(all, more, to);
    const cold = await run.readAnew(all, more, to);
    expect(shown(warm)).toEqual(shown(cold));
  }
}

/** Stores and reads at the same time, then compares. */
async function live(each: Plan, name: string): Promise<void> {
  const run = new Run(each);
  await run.start(name);
  await using _follower = run.follower;
  const storing = async () => {
    for (const response of each.responses) await run.store(response);
  };
  const reading = async (steps: readonly Step[]) => {
    for (const step of steps) await run.do(step);
  };
  await run.gates.run(() => Promise.all([storing(), ...each.readers.map(reading)]));
  await expectFresh(run);
  expect(run.errors).toEqual([]);
}

test("what is in memory ends equal to what a fresh start reads, whatever is stored and read meanwhile", async () => {
  let cases = 0;
  const property = fc.asyncProperty(fc.array(plan, { minLength: WORLDS, maxLength: WORLDS }), async (plans) => {
    cases += 1;
    const worlds = await Promise.allSettled(plans.map((each, world) => live(each, `case${cases}world${world}`)));
    for (const world of worlds) if (world.status === "rejected") throw world.reason;
  });
  // Interleavings do not repeat, so a smaller plan tells nothing about the failure of a larger one.
  await fc.assert(property, { numRuns: CASES, endOnFailure: true });
}, 600_000);
