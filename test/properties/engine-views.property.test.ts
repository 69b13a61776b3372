import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ListFilters, RoomConfig, SyncRequest } from "../../src/engine/request.ts";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import { isDeparted, Membership } from "../../src/model/membership.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { type Asked, ClientView, differences } from "../support/client-view.ts";
import { alice, bob, carol, config, list, request, TestWorld } from "../support/engine.ts";
import { type Beginning, dave, RoomLife } from "../support/room-life.ts";
import { Step } from "../support/worded-step.ts";
import { type Answer, EngineClient } from "../unit/engine/engine-client.ts";

const RUNS = { numRuns: 1000 };

type Ranges = Parameters<typeof list>[0];

interface WishedConfig {
  readonly limit: number;
  readonly state: readonly string[];
}

interface WishedList extends WishedConfig {
  readonly ranges: Ranges;
  readonly filters: Partial<ListFilters>;
}

/** What a client asks for. */
interface Wish {
  readonly lists: readonly WishedList[];
  readonly subscriptions: readonly (WishedConfig & { readonly room: number })[];
}

interface Client {
  readonly wishes: readonly Wish[];
  /** Each subscription is sent once, as matrix-js-sdk does. */
  readonly isSticky: boolean;
}

/** An answer that was given and may still arrive. */
interface Given {
  readonly answer: Answer;
  readonly subscribed: readonly RoomLife[];
  readonly ignored: ReadonlySet<UserId>;
}

const countsIn = ({ outcome }: Answer): readonly number[] =>
  [...outcome.response.lists.values()].map(({ count }) => count);

const configOf = ({ limit, state }: WishedConfig): RoomConfig => config(limit, ...state);

class Scenario {
  readonly #world = new TestWorld();
  readonly rooms: readonly RoomLife[];
  readonly #client: Client;
  readonly #view = new ClientView();
  #connection = new EngineClient(this.#world);
  /** Answers from the position that the client has. */
  #given: Given[] = [];
  /** Subscriptions that go on. */
  #subscribed: readonly RoomLife[] = [];
  #ignored = this.#world.ignored;
  /** What was wrong with answers so far. */
  readonly #wrong: string[] = [];

  constructor(beginnings: readonly Beginning[], client: Client) {
    this.rooms = beginnings.map(
      (beginning, at) => new RoomLife(this.#world, beginning, at === 2 ? "m.space" : undefined),
    );
    const [first, , space] = this.rooms.map(({ stored }) => stored);
    if (first && space) this.#world.children.set(space.room, new Set([first.roomId]));
    this.#client = client;
  }

  room = (number: number): RoomLife => this.rooms[number % this.rooms.length]!;

  /** One of the few things that the client asks for. */
  wish = (number: number): Wish => this.#client.wishes[number % this.#client.wishes.length]!;

  /** Asks; the answer may arrive later, or never. */
  ask(wish: Wish): Given {
    const subscribed = this.#subscribedWith(wish);
    const answer = this.#connection.lose(this.#request(wish, this.#client.isSticky));
    this.#checkShown(answer, wish, subscribed);
    const given = { answer, subscribed, ignored: this.#world.ignored };
    this.#given.push(given);
    return given;
  }

  sync(wish: Wish): Given {
    const given = this.ask(wish);
    this.#take(given);
    return given;
  }

  /** One of the answers to the requests since the last one that arrived does so late; the client goes on from there. */
  takeLate(number: number): void {
    const given = this.#given[number % this.#given.length];
    if (given !== undefined) this.#take(given);
  }

  /** The client stops after it has the answer, and before it has kept the `pos` of it. */
  stopAfter(wish: Wish): void {
    this.#apply(this.ask(wish), false);
    this.#given = [];
  }

  /** The server keeps rooms back in which stands what has just come. */
  keepBack(isOn: boolean): void {
    const before = (positions: number) => (this.#world.position - positions) as StreamPosition;
    this.#connection.window = isOn ? { after: before(30), longAfter: before(90), sentAfterMs: 0 } : undefined;
  }

  setTags(tagged: readonly boolean[]): void {
    const tagsAt = (at: number) => (tagged[at] === true ? ["m.favourite"] : []);
    for (const [at, { stored }] of this.rooms.entries()) this.#world.tags.set(stored.room, new Set(tagsAt(at)));
  }

  setDirect(direct: readonly boolean[]): void {
    this.#world.direct = new Set(this.rooms.filter((_, at) => direct[at]).map(({ stored }) => stored.roomId));
  }

  ignore(users: readonly UserId[]): void {
    this.#world.ignored = new Set(users);
  }

  restart(): void {
    this.#subscribed = [];
    this.#connection = new EngineClient(this.#world);
    this.#given = [];
    this.#view.beginAnew();
  }

  /** A client that sends each subscription once ends those that it does not want, but for some. */
  #subscribedWith({ lists, subscriptions }: Wish): readonly RoomLife[] {
    const wished = subscriptions.map(({ room }) => this.room(room));
    const kept = this.#subscribed.slice(0, lists.length);
    return this.#client.isSticky ? [...new Set([...wished, ...kept])] : wished;
  }

  #take(given: Given): void {
    this.#subscribed = given.subscribed;
    this.#connection.confirm(given.answer);
    this.#given = [];
    this.#apply(given, true);
  }

  #apply({ answer, ignored }: Given, isPosKept: boolean): void {
    if (ignored !== this.#ignored) this.#view.emptyTimelines();
    this.#ignored = ignored;
    this.#view.apply(answer.rooms, isPosKept);
  }

  /** Nothing is shown that the reader may not see, nor to who does not ask for it. */
  #checkShown({ rooms }: Answer, { lists }: Wish, subscribed: readonly RoomLife[]): void {
    const check = (isRight: boolean, what: string) => isRight || this.#wrong.push(what);
    for (const { roomId, timeline, requiredState, membership, isDm, strippedState } of rooms) {
      const life = this.#lifeOf(roomId);
      for (const { event } of timeline?.events ?? []) check(life.mayShow(event.eventId), `${event.eventId} is shown`);
      for (const event of requiredState) check(life.mayShowState(event), `${event.eventId} is shown as state`);
      check(membership !== Membership.join || life.stored.isComplete, `${roomId} is shown before it is whole`);
      check(lists.length > 0 || subscribed.includes(life), `${roomId} is shown to who does not ask for it`);
      check(strippedState === undefined || timeline === undefined, `${roomId} has a timeline, and is not joined`);
      check(isDm === this.#world.direct.has(roomId), `${roomId} is direct: ${isDm}`);
    }
  }

  /** After an answer about every room the client has what a new one gets, and nothing is owed. */
  finish(wish: Wish): void {
    this.keepBack(false);
    for (const life of this.rooms) {
      life.breakReading(false);
      life.nameLate(false);
      life.quarantine(false);
    }
    this.sync(wish);
    // Rooms that the first answer told to be over are no longer listed: others move up.
    this.sync(wish);
    const { answer } = this.sync(wish);
    const first = new EngineClient(this.#world).sync(this.#request(wish, false));
    const fresh = new ClientView();
    fresh.apply(first.rooms);
    expect([
      ...this.#wrong,
      ...answer.rooms.map(({ roomId }) => `${roomId} is sent again`),
      ...(answer.writes ? ["what was told is written again"] : []),
      ...differences(this.#view, fresh, (roomId) => this.#askedOf(this.#lifeOf(roomId), wish)),
      ...this.rooms.flatMap((life) => this.#leftOf(life, fresh)),
    ]).toEqual([]);
    expect(countsIn(answer)).toEqual(countsIn(first));
  }

  #lifeOf = (roomId: RoomId): RoomLife => this.rooms.find(({ stored }) => stored.roomId === roomId)!;

  #askedOf(life: RoomLife, { lists, subscriptions }: Wish): Asked {
    const subscription = subscriptions.findLast(({ room }) => this.room(room) === life);
    const configs = [...lists.slice(0, 1), ...(subscription === undefined ? [] : [subscription])];
    return { requiredState: configs.map((each) => configOf(each).requiredState), current: life.current };
  }

  /** What the client lacks to scroll back, or has that is over. */
  #leftOf(life: RoomLife, fresh: ClientView): readonly string[] {
    const { roomId, membership, isComplete } = life.stored;
    const held = this.#view.rooms.get(roomId);
    if (held === undefined) return [];
    // What is no longer listed the client knows to be over, but for an invite that the user does not want to see.
    const isListed = fresh.rooms.has(roomId) || membership === Membership.invite || !isComplete;
    const isOver = isListed || !held.isTold || isDeparted(held.membership);
    return [...life.holesIn(held.timeline), ...(isOver ? [] : [`${roomId} is held as ${held.membership}`])];
  }

  #request({ lists, subscriptions }: Wish, isSticky: boolean): SyncRequest {
    const asked = lists.map((each, at) => [`list${at}`, list(each.ranges, configOf(each), each.filters)] as const);
    const subscribed = new Map(subscriptions.map((each) => [this.room(each.room).stored.roomId, configOf(each)]));
    const going = new Set(this.#subscribedWith({ lists, subscriptions }));
    const unsubscribed = this.rooms.filter((life) => !going.has(life)).map(({ stored }) => stored.roomId);
    const sticky = { subscriptionMode: "keep", unsubscribed } as const;
    return request(Object.fromEntries(asked), subscribed, isSticky ? sticky : {});
  }
}

const ROOMS = 3;
const WISHES = 3;
const SPACE = "!room3:example.org" as RoomId;

const STATE = [
  "lazy",
  "lazy",
  "lazy",
  "m.room.topic",
  "m.room.name",
  "m.room.avatar",
  "org.example.part *",
  "org.example.part a",
  "* a",
  "* *",
  "m.room.create",
  `m.room.member ${alice}`,
  `m.room.member ${bob}`,
  "m.room.member *",
];
const MEMBERS = ["lazy", "lazy", "m.room.member *", "* *", `m.room.member ${alice}`, "m.room.topic"];

const room = fc.nat(ROOMS - 1);
const count = fc.integer({ min: 1, max: 2 });
const member = fc.constantFrom(bob, carol, dave);
const few = <Item>(items: readonly Item[], maxLength: number) =>
  fc.uniqueArray(fc.constantFrom(...items), { maxLength });
const many = <Item>(item: fc.Arbitrary<Item>, maxLength: number) =>
  fc.array(item, { minLength: 1, maxLength, size: "max" });

const range = fc.tuple(room, room).map(([first, size]) => [first, first + size] as const);
const ranges: fc.Arbitrary<Ranges> = fc.oneof(
  { weight: 3, arbitrary: range.map((only) => [only]) },
  { weight: 1, arbitrary: fc.tuple(range, range) },
  { weight: 4, arbitrary: fc.constant("all" as const) },
);
const filters: fc.Arbitrary<Partial<ListFilters>> = fc.oneof(
  { weight: 12, arbitrary: fc.constant({}) },
  fc.boolean().map((isDm) => ({ isDm })),
  fc.boolean().map((isInvite) => ({ isInvite })),
  fc.boolean().map((isEncrypted) => ({ isEncrypted })),
  fc.constant({ roomTypes: ["m.space"] }),
  fc.constant({ notRoomTypes: ["m.space"] }),
  fc.constant({ tags: ["m.favourite"] }),
  fc.constant({ notTags: ["m.favourite"] }),
  fc.constant({ spaces: [SPACE] }),
);

const asConfig = { limit: fc.constantFrom(0, 1, 1, 2, 5), state: few(STATE, 3) };
const oneList = fc.record({ ranges, filters, ...asConfig });
const subscriptions = fc.uniqueArray(fc.record({ room, ...asConfig }), { maxLength: 2, selector: (each) => each.room });
const anything: fc.Arbitrary<Wish> = fc.record({ lists: fc.array(oneList, { maxLength: 2 }), subscriptions });
/** Everything is listed, and more. */
const everything: fc.Arbitrary<Wish> = fc
  .record({ all: fc.record(asConfig), lists: fc.array(oneList, { maxLength: 1 }), subscriptions })
  .map(({ all, lists, ...others }) => ({ lists: [{ ranges: "all", filters: {}, ...all }, ...lists], ...others }));
const allMembers: fc.Arbitrary<Wish> = fc
  .record({ limit: fc.constantFrom(0, 1, 5), state: few(MEMBERS, 2) })
  .map((each) => ({ lists: [{ ranges: "all", filters: {}, ...each }], subscriptions: [] }));

const asking = (words: string, take: (scenario: Scenario, asked: Wish) => void) =>
  fc
    .nat(WISHES - 1)
    .map((asked) => new Step<Scenario>((scenario) => take(scenario, scenario.wish(asked)), words, asked));
const inRoom = <More>(words: string, more: fc.Arbitrary<More>, take: (at: RoomLife, drawn: More) => void) =>
  fc
    .tuple(room, more)
    .map(([at, drawn]) => new Step<Scenario>((scenario) => take(scenario.room(at), drawn), words, at, drawn));
const inWorld = <More>(words: string, more: fc.Arbitrary<More>, take: (scenario: Scenario, drawn: More) => void) =>
  more.map((drawn) => new Step<Scenario>((scenario) => take(scenario, drawn), words, drawn));
/** How often steps are drawn, against each other. */
type Steps = readonly (readonly [weight: number, step: fc.Arbitrary<Step<Scenario>>])[];
const anyOf = (steps: Steps) => fc.oneof(...steps.map(([weight, arbitrary]) => ({ weight, arbitrary })));

const nothing = fc.constant(undefined);
const yesOrNo = fc.boolean();
const flags = fc.array(yesOrNo, { minLength: ROOMS, maxLength: ROOMS });
const sender = fc.constantFrom(bob, carol, dave, alice);
const messages = fc.tuple(sender, yesOrNo, fc.integer({ min: 1, max: 3 }));
const memberChange = fc.tuple(member, fc.constantFrom("join", "join", "join", "leave", "invite"), yesOrNo);
const gap = fc.tuple(count, fc.constantFrom(undefined, "somebody" as const, bob, dave));
const stateChange = fc.constantFrom<readonly [type: string, stateKey: string, content: object]>(
  ["m.room.topic", "", {}],
  ["m.room.name", "", { name: "a name" }],
  ["m.room.name", "", {}],
  ["m.room.avatar", "", { url: "mxc://a/picture" }],
  ["m.room.avatar", "", {}],
  ["org.example.part", "a", {}],
  ["org.example.part", "b", {}],
  ["m.room.encryption", "", {}],
);
const removed = fc.constantFrom<readonly [type: string, stateKey: string]>(
  ["m.room.name", ""],
  ["m.room.avatar", ""],
  ["m.room.member", carol],
);

const asked: Steps = [
  [24, asking("sync", (scenario, wish) => scenario.sync(wish))],
  [3, asking("ask", (scenario, wish) => scenario.ask(wish))],
  [2, inWorld("take late", fc.nat(3), (scenario, number) => scenario.takeLate(number))],
  [2, asking("stop after", (scenario, wish) => scenario.stopAfter(wish))],
];
const told: Steps = [
  [10, inRoom("messages", messages, (at, drawn) => at.messages(...drawn))],
  [5, inRoom("state", stateChange, (at, drawn) => at.setState(...drawn))],
  [8, inRoom("member", memberChange, (at, drawn) => at.setMember(...drawn))],
  [1, inRoom("own profile", nothing, (at) => at.setOwnProfile())],
  [2, inRoom("named late", yesOrNo, (at, isLate) => at.nameLate(isLate))],
  [3, inRoom("gap", gap, (at, drawn) => at.miss(...drawn))],
  [2, inRoom("all members", nothing, (at) => at.learnMembers())],
];
const others: Steps = [
  [1, inWorld("restart", nothing, (scenario) => scenario.restart())],
  [1, inWorld("keep back", yesOrNo, (scenario, isOn) => scenario.keepBack(isOn))],
  [1, inRoom("no state", removed, (at, drawn) => at.removeState(...drawn))],
  [1, inRoom("ignorer", count, (at, ignored) => at.learnFromIgnorer(ignored))],
  [1, inRoom("complete", nothing, (at) => at.complete())],
  [1, inRoom("quarantine", yesOrNo, (at, isSet) => at.quarantine(isSet))],
  [1, inRoom("broken", yesOrNo, (at, isSet) => at.breakReading(isSet))],
  [3, inRoom("join", fc.nat(2), (at, missed) => at.join(missed))],
  [2, inRoom("leave", yesOrNo, (at, isPlaced) => at.leave(isPlaced))],
  [2, inRoom("send away", fc.tuple(yesOrNo, yesOrNo), (at, drawn) => at.sendAway(...drawn))],
  [1, inRoom("lose", nothing, (at) => at.lose())],
  [2, inRoom("invite", member, (at, by) => at.invite(by))],
  [1, inRoom("knock", nothing, (at) => at.knock())],
  [1, inRoom("forget", nothing, (at) => at.forget())],
  [2, inRoom("unread", fc.tuple(fc.nat(2), fc.nat(1)), (at, drawn) => at.setCounts(...drawn))],
  [1, inWorld("tags", flags, (scenario, tagged) => scenario.setTags(tagged))],
  [1, inWorld("direct", flags, (scenario, direct) => scenario.setDirect(direct))],
  [2, inWorld("ignore", few([bob, carol, dave], 2), (scenario, users) => scenario.ignore(users))],
];

const beginning = fc.constantFrom<Beginning>("joined", "joined", "joined", "lazy", "incomplete", "unknown", "invited");

const anyLife = {
  beginnings: fc.array(beginning, { minLength: 1, maxLength: ROOMS }),
  wish: anything,
  lastWish: everything,
  step: anyOf([...asked, ...told, ...others]),
};
const oneRoom = {
  beginnings: fc.tuple(fc.constantFrom<Beginning>("joined", "lazy")),
  wish: allMembers,
  lastWish: allMembers,
  step: anyOf([...asked, ...told]),
};

test.each([
  ["all that happens to rooms", anyLife],
  ["the members of one room", oneRoom],
])("%s: whatever a client asks for and whatever gets lost, it holds what a new one is told, and its gaps lead to the rest", (_, drawn) => {
  const client = fc.record({ wishes: fc.array(drawn.wish, { minLength: 1, maxLength: WISHES }), isSticky: yesOrNo });
  // After each the client holds what there is, and goes on from there.
  const round = fc.record({ steps: many(drawn.step, 8), last: drawn.lastWish });
  fc.assert(
    fc.property(drawn.beginnings, client, many(round, 12), (beginnings, asks, rounds) => {
      const scenario = new Scenario(beginnings, asks);
      for (const { steps, last } of rounds) {
        for (const { take } of steps) take(scenario);
        scenario.finish(last);
      }
    }),
    RUNS,
  );
});
