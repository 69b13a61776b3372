import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { SyncRequest } from "../../src/engine/request.ts";
import type { RoomAnswer } from "../../src/engine/response.ts";
import { Membership } from "../../src/model/membership.ts";
import { Visibility } from "../../src/model/visibility.ts";
import { alice, BOB_NID, bob, carol, config, list, request, type TestRoom, TestWorld } from "../support/engine.ts";
import { Step } from "../support/worded-step.ts";
import { EngineClient } from "../unit/engine/engine-client.ts";

const RUNS = { numRuns: 1000 };

/** One event of the room as it really is. The store may not know of it. */
interface TrueEvent {
  readonly eventId: string | undefined;
  readonly isOpen: boolean;
  /** Whether the reader was in the room. */
  readonly isReaderIn: boolean;
  /** The store can know, for the reader, that nothing stands between this event and the one before. */
  readonly isLinked: boolean;
}

/** A room as it really is, beside what the store was told of it. */
class TrueRoom {
  readonly stored: TestRoom;
  readonly events: TrueEvent[] = [];
  isReaderIn = true;
  hasLateHistory = false;

  constructor(world: TestWorld) {
    this.stored = world.emptyRoom();
    this.learn(() => this.stored.setState("m.room.create"));
    for (const user of [bob, carol]) this.learn(() => this.stored.setMember(user));
    this.learn(() => this.stored.setReader(Membership.join));
  }

  learn(send: () => { eventId: string }, isOpen = true, isLinked = true): void {
    this.events.push({ eventId: send().eventId, isOpen, isReaderIn: this.isReaderIn, isLinked });
  }

  /** Events that no stream brought to the store. */
  hide(count: number): void {
    for (let index = 0; index < count; index++) {
      this.events.push({ eventId: undefined, isOpen: true, isReaderIn: this.isReaderIn, isLinked: false });
    }
  }

  message(sender: typeof bob, isOpen: boolean): void {
    const visibility = isOpen ? Visibility.shared : Visibility.joined;
    this.learn(() => this.stored.send({ sender, visibility }), isOpen);
  }

  messages(sender: typeof bob, isOpen: boolean, count: number): void {
    for (let index = 0; index < count; index++) this.message(sender, isOpen);
  }

  /** A member's state that comes without the event in the timeline. */
  learnMember(user: typeof bob): void {
    this.stored.send({ type: "m.room.member", stateKey: user, isOutOfTimeline: true });
  }

  /** A `limited` batch: whatever came before it in the room since the last one is not stored. */
  missThenMessage(count: number): void {
    this.hide(count);
    this.stored.beginChunk();
    this.message(bob, true);
  }

  /** A batch from the stream of somebody who ignores the sender of the hidden events; then one that lacks nothing. */
  ignorersBatch(count: number): void {
    this.stored.beginChunk({ continues: true, attestedFor: BOB_NID });
    this.learn(() => this.stored.message(), true, false);
    this.hide(count);
    this.learn(() => this.stored.message(), true, false);
    this.stored.beginChunk({ continues: true });
    this.message(bob, true);
  }

  /** The newest hole is closed: its events are learnt late, and before events that are known. */
  fillNewestHole(): void {
    const last = this.events.findLastIndex((event) => event.eventId === undefined);
    if (last === -1) return;
    this.hasLateHistory = true;
    const next = this.stored.timeline.find((event) => event.eventId === this.events[last + 1]?.eventId)!;
    const before = this.stored.timeline[this.stored.timeline.indexOf(next) - 1]!;
    for (let at = last; this.events[at]?.eventId === undefined; at--) {
      const oldest = this.stored.timeline.find(({ eventId }) => eventId === this.events[at + 1]?.eventId)!;
      this.events[at] = { ...this.events[at]!, eventId: this.stored.insert(oldest, before.chunk).eventId };
    }
    const chunk = this.stored.chunks.get(next.chunk)!;
    const isOneChunk = before.chunk === next.chunk;
    this.stored.chunks.set(
      next.chunk,
      isOneChunk ? { ...chunk, attestedFor: undefined } : { ...chunk, continues: true },
    );
  }

  moveReader(isKick: boolean): void {
    if (this.isReaderIn) {
      this.learn(() => this.stored.setReader(Membership.leave, { sender: isKick ? bob : alice, previous: "join" }));
      this.isReaderIn = false;
    } else {
      this.isReaderIn = true;
      this.learn(() => this.stored.setReader(Membership.join));
    }
  }

  /** Whether a timeline that begins with the event at `at` could have begun earlier. */
  couldGoOnBefore(at: number): boolean {
    const [before, first] = [this.events[at - 1], this.events[at]!];
    if (before?.eventId === undefined || !first.isLinked) return false;
    return before.isOpen || at - 1 >= this.#lastMove;
  }

  /** What a client may show now: nothing after a departure, and of what happened without the reader only open history. */
  mayShow(eventId: string): boolean {
    const at = this.events.findIndex((event) => event.eventId === eventId);
    const event = this.events[at]!;
    if (!this.isReaderIn && at > this.#lastMove) return false;
    return event.isOpen || event.isReaderIn;
  }

  get newest(): string | undefined {
    return this.events.findLast((event) => event.eventId !== undefined)?.eventId;
  }

  /** Where the reader came or went for the last time. Of earlier stays the store knows nothing. */
  get #lastMove(): number {
    return this.events.findIndex((event) => event.eventId === this.stored.departure?.eventId);
  }

  current(type: string, stateKey: string): string | undefined {
    return this.stored.stateAt(this.stored.changedAt).get(`${type} ${stateKey}`)?.eventId;
  }
}

/** What a client holds of one room. */
class ShownRoom {
  readonly #truth: TrueRoom;
  /** Event ids that the client shows as neighbours, up to the newest that it was sent. */
  #run: string[] = [];
  /** The client knows that something is missing before the run. */
  #hasGapBefore = true;
  readonly state = new Map<string, string>();

  constructor(truth: TrueRoom) {
    this.#truth = truth;
  }

  apply(answer: RoomAnswer, wantsMembers: boolean): void {
    if (answer.isInitial) {
      this.#run = [];
      this.#hasGapBefore = true;
      this.state.clear();
    }
    for (const event of answer.requiredState) {
      this.state.set(`${event.type} ${event.stateKey}`, event.eventId);
      if (!this.#truth.isReaderIn) this.#expectBeforeDeparture(event);
    }
    if (answer.timeline === undefined) return;
    const senders = new Set(answer.timeline.events.map(({ event }) => event.sender));
    if (wantsMembers && this.#truth.isReaderIn) for (const sender of senders) this.expectState("m.room.member", sender);
    this.#applyTimeline(answer, answer.timeline);
    this.#expectNoHole();
  }

  /** The value that the client has is the one in force. */
  expectState(type: string, stateKey: string): void {
    expect(this.state.get(`${type} ${stateKey}`)).toBe(this.#truth.current(type, stateKey));
  }

  /** Nothing is missing at the end; a client that is out of the room knows at least that. */
  expectUpToDate(): void {
    if (this.#truth.isReaderIn) expect(this.#run.at(-1)).toBe(this.#truth.newest);
    else expect(this.state.get(`m.room.member ${alice}`)).toBe(this.#truth.stored.departure?.eventId);
  }

  #expectBeforeDeparture({ position }: { readonly position: number }): void {
    expect(position).toBeLessThanOrEqual(this.#truth.stored.departure!.position);
  }

  #applyTimeline({ isInitial, isTimelineExpanded }: RoomAnswer, timeline: NonNullable<RoomAnswer["timeline"]>): void {
    const events = timeline.events.map(({ event }) => event.eventId);
    for (const eventId of events) expect(this.#truth.mayShow(eventId)).toBe(true);
    if (!isInitial && !isTimelineExpanded) {
      expect(events.filter((eventId) => this.#run.includes(eventId))).toEqual([]);
    }
    if (events.length === 0) return;
    if (!isInitial && !isTimelineExpanded && timeline.limited) this.#expectRealGap(events[0]!);
    if (isInitial || isTimelineExpanded || timeline.limited) {
      this.#run = [];
      this.#hasGapBefore = timeline.limited;
    }
    this.#run.push(...events);
  }

  /** What was shown last and the first new event are not known to be neighbours. */
  #expectRealGap(first: string): void {
    const { events, hasLateHistory } = this.#truth;
    const at = events.findIndex((event) => event.eventId === first);
    const isNeighbour = events[at - 1]?.eventId !== undefined && events[at - 1]?.eventId === this.#run.at(-1);
    expect(isNeighbour && events[at]!.isLinked && !hasLateHistory).toBe(false);
  }

  /** The client has as many events as it asks for, as far as they are known to be neighbours. */
  expectFilled(limit: number): void {
    const { events, hasLateHistory } = this.#truth;
    if (hasLateHistory || this.#run.length >= limit) return;
    const first = events.findIndex((event) => event.eventId === this.#run[0]);
    expect(this.#truth.couldGoOnBefore(first)).toBe(false);
  }

  /** Neighbours are neighbours in the room as it really is, and what is before the run is the start or a known gap. */
  #expectNoHole(): void {
    if (this.#run.length === 0) return;
    const { events } = this.#truth;
    const last = events.findIndex((event) => event.eventId === this.#run.at(-1));
    const first = last - this.#run.length + 1;
    expect(events.slice(first, last + 1).map((event) => event.eventId)).toEqual(this.#run);
    if (!this.#hasGapBefore) expect(first).toBe(0);
  }
}

interface Wish {
  readonly range: readonly [number, number] | undefined;
  readonly listLimit: number;
  readonly subscribed: readonly number[];
  readonly subscriptionLimit: number;
  readonly wantsTopic: boolean;
  readonly wantsMembers: boolean;
}

class Scenario {
  readonly #world = new TestWorld();
  readonly #rooms: readonly TrueRoom[];
  readonly #client: EngineClient;
  readonly #shown = new Map<string, ShownRoom>();

  constructor(rooms: number) {
    this.#rooms = Array.from({ length: rooms }, () => new TrueRoom(this.#world));
    this.#client = new EngineClient(this.#world);
  }

  room = (number: number): TrueRoom => this.#rooms[number % this.#rooms.length]!;

  /** The answer gets lost: the client asks again with the same pos. */
  lose(wish: Wish): void {
    this.#client.lose(this.#request(wish));
  }

  sync(wish: Wish): void {
    const { rooms } = this.#client.sync(this.#request(wish));
    for (const answer of rooms) this.#shownRoom(answer).apply(answer, wish.wantsMembers);
    for (const { stored, isReaderIn } of wish.subscribed.map(this.room)) {
      const shown = isReaderIn ? this.#shown.get(stored.roomId) : undefined;
      if (wish.wantsTopic) shown?.expectState("m.room.topic", "");
      shown?.expectFilled(wish.subscriptionLimit);
    }
  }

  /** After an answer about every room, nothing is missing at the end of any. */
  finish(): void {
    const all = { range: [0, 9], listLimit: 2, subscribed: [], subscriptionLimit: 0 } as const;
    this.sync({ ...all, wantsTopic: true, wantsMembers: true });
    for (const { stored } of this.#rooms) this.#shown.get(stored.roomId)?.expectUpToDate();
    const again = this.#client.sync(this.#request({ ...all, wantsTopic: true, wantsMembers: true }));
    expect(again.rooms).toEqual([]);
    expect(again.writes).toBe(false);
  }

  #shownRoom({ roomId, isInitial }: RoomAnswer): ShownRoom {
    const known = this.#shown.get(roomId);
    // matrix-js-sdk drops an entry of a room that it does not know and that is not initial.
    expect(known !== undefined || isInitial).toBe(true);
    const shown = known ?? new ShownRoom(this.#rooms.find(({ stored }) => stored.roomId === roomId)!);
    this.#shown.set(roomId, shown);
    return shown;
  }

  #request(wish: Wish): SyncRequest {
    const state = [...(wish.wantsTopic ? ["m.room.topic"] : []), ...(wish.wantsMembers ? ["lazy"] : [])];
    const lists = wish.range === undefined ? {} : { all: list([wish.range], config(wish.listLimit, ...state)) };
    const subscribed = wish.subscribed.map((number) => this.room(number).stored.roomId);
    const subscription = config(wish.subscriptionLimit, ...state);
    return request(lists, new Map(subscribed.map((roomId) => [roomId, subscription])));
  }
}

const room = fc.nat(1);
const count = fc.integer({ min: 1, max: 2 });
const member = fc.constantFrom(bob, carol);
const range = fc.tuple(fc.nat(1), fc.nat(1)).map(([first, size]) => [first, first + size] as const);
const wish: fc.Arbitrary<Wish> = fc.record({
  range: fc.option(range, { nil: undefined }),
  listLimit: fc.constantFrom(0, 1, 1, 3),
  subscribed: fc.uniqueArray(room, { maxLength: 2 }),
  subscriptionLimit: fc.constantFrom(0, 1, 5, 5),
  wantsTopic: fc.boolean(),
  wantsMembers: fc.boolean(),
});

const inRoom = <More>(words: string, more: fc.Arbitrary<More>, take: (at: TrueRoom, drawn: More) => void) =>
  fc
    .tuple(room, more)
    .map(([at, drawn]) => new Step<Scenario>((scenario) => take(scenario.room(at), drawn), words, at, drawn));

const messages = fc.tuple(member, fc.boolean(), fc.integer({ min: 1, max: 3 }));
const nothing = fc.constant(undefined);

const step = fc.oneof(
  { weight: 8, arbitrary: wish.map((asked) => new Step<Scenario>((scenario) => scenario.sync(asked), "sync", asked)) },
  { weight: 2, arbitrary: wish.map((asked) => new Step<Scenario>((scenario) => scenario.lose(asked), "lose", asked)) },
  {
    weight: 8,
    arbitrary: inRoom("messages", messages, (at, [sender, isOpen, size]) => at.messages(sender, isOpen, size)),
  },
  { weight: 2, arbitrary: inRoom("topic", nothing, (at) => at.learn(() => at.stored.setState("m.room.topic"))) },
  { weight: 2, arbitrary: inRoom("profile", member, (at, user) => at.learn(() => at.stored.setMember(user))) },
  { weight: 1, arbitrary: inRoom("member state", member, (at, user) => at.learnMember(user)) },
  { weight: 2, arbitrary: inRoom("gap", count, (at, missed) => at.missThenMessage(missed)) },
  { weight: 1, arbitrary: inRoom("ignorer", count, (at, ignored) => at.ignorersBatch(ignored)) },
  { weight: 1, arbitrary: inRoom("fill", nothing, (at) => at.fillNewestHole()) },
  { weight: 2, arbitrary: inRoom("leave or join", fc.boolean(), (at, isKick) => at.moveReader(isKick)) },
);

test("whatever a client asks for and whatever gets lost, it holds no hole that it was not told of, and ends up to date", () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 2 }), fc.array(step, { minLength: 1, maxLength: 40 }), (rooms, steps) => {
      const scenario = new Scenario(rooms);
      for (const { take } of steps) take(scenario);
      scenario.finish();
    }),
    RUNS,
  );
});
