import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { ExtensionScope, ExtensionsRequest, SyncRequest } from "../../src/engine/request.ts";
import type { ExtensionsResponse } from "../../src/engine/response.ts";
import type { RoomId, UserId } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { Visibility } from "../../src/model/visibility.ts";
import { alice, bob, carol, config, list, request, type TestRoom, TestWorld } from "../support/engine.ts";
import { ExtensionView, extensionDifferences } from "../support/extension-view.ts";
import { Step } from "../support/worded-step.ts";
import { type Answer, EngineClient } from "../unit/engine/engine-client.ts";

const RUNS = { numRuns: 1000 };
const ROOMS = 3;
const dave = "@dave:example.org" as UserId;

const STREAMS = ["accountData", "receipts", "typing"] as const;

/** Rooms by number. */
interface WishedScope {
  readonly lists: "all" | readonly string[];
  readonly rooms: "all" | readonly number[];
}

interface Wish {
  readonly lists: readonly { readonly ranges: Parameters<typeof list>[0]; readonly limit: number }[];
  readonly subscribed: readonly number[];
  readonly scopes: { readonly [Stream in (typeof STREAMS)[number]]: WishedScope | undefined };
}

const EVERYTHING: WishedScope = { lists: "all", rooms: "all" };

interface Given {
  readonly answer: Answer;
}

class Scenario {
  readonly #world = new TestWorld();
  readonly rooms: readonly TestRoom[] = Array.from({ length: ROOMS }, () => this.#world.joinedRoom(1));
  readonly #view = new ExtensionView();
  #connection = new EngineClient(this.#world);
  #given: Given[] = [];
  /** Events that the reader may not see. */
  readonly #hidden = new Set<string>();
  readonly #wrong: string[] = [];

  constructor(ignored: readonly UserId[]) {
    this.#world.ignored = new Set(ignored);
  }

  ask(wish: Wish): Given {
    const answer = this.#connection.lose(this.#requestOf(wish));
    this.#check(answer, wish);
    this.#given.push({ answer });
    return { answer };
  }

  sync(wish: Wish): Answer {
    const given = this.ask(wish);
    this.#take(given);
    return given.answer;
  }

  takeLate(number: number): void {
    const given = this.#given[number % this.#given.length];
    if (given !== undefined) this.#take(given);
  }

  /** The client stops after it has kept what the answer says, and before it has kept the `pos` of it. Who types it keeps nowhere. */
  stopAfter(wish: Wish): void {
    const { response } = this.ask(wish).answer.outcome;
    this.#view.apply(response.rooms, { ...response.extensions, typing: undefined });
    this.#given = [];
  }

  beginAnew(): void {
    this.#connection = new EngineClient(this.#world);
    this.#given = [];
    this.#view.forgetTyping();
  }

  restartServer(): void {
    this.#world.personal.restart();
  }

  keepBack(isOn: boolean): void {
    const before = (positions: number) => (this.#world.position - positions) as StreamPosition;
    this.#connection.window = isOn ? { after: before(30), longAfter: before(90), sentAfterMs: 0 } : undefined;
  }

  message(room: TestRoom, sender: UserId, isShared: boolean): void {
    const visibility = isShared ? Visibility.shared : Visibility.joined;
    const { eventId } = room.send({ type: "m.room.message", sender, visibility });
    if (!isShared && room.membership !== Membership.join) this.#hidden.add(eventId);
  }

  move(room: TestRoom, membership: Membership): void {
    if (membership === Membership.invite && room.membership === Membership.join) return;
    if (membership !== room.membership)
      room.setReader(membership, membership === Membership.invite ? { sender: bob } : {});
  }

  /** One thread for each user: on the wire there is no place for two receipts on an event. */
  receipt(room: TestRoom, userId: UserId, back: number, isPrivate: boolean): void {
    const eventId = room.timeline.at(-1 - back)?.eventId ?? "$unknown";
    const threadId = userId === carol ? "main" : "";
    this.#world.personal.receipt(room, userId, eventId, { threadId, type: isPrivate ? "m.read.private" : "m.read" });
  }

  /** Somebody reads what was said while the reader was away: rare, where each step of it has to be drawn. */
  beAway(room: TestRoom, userId: UserId): void {
    this.move(room, Membership.leave);
    this.message(room, bob, false);
    this.receipt(room, userId, 0, false);
    this.move(room, Membership.join);
  }

  type(room: TestRoom, users: readonly UserId[]): void {
    this.#world.personal.type(room, ...users);
  }

  setAccountData(room: TestRoom | undefined, type: string, n: number): void {
    this.#world.personal.setAccountData(type, n === 0 ? {} : { n }, room);
  }

  /** After an answer about every room the client has what a new one gets, and nothing is owed. */
  finish(limit: number): void {
    this.keepBack(false);
    for (const room of this.rooms) room.isBroken = false;
    const scopes = { accountData: EVERYTHING, receipts: EVERYTHING, typing: EVERYTHING };
    const wish: Wish = { lists: [{ ranges: "all", limit }], subscribed: [], scopes };
    this.sync(wish);
    // Rooms that the first answer told to be over are no longer listed.
    this.sync(wish);
    const before = this.#world.personal.reads;
    const last = this.sync(wish);
    const first = new EngineClient(this.#world).sync(this.#requestOf(wish));
    const fresh = new ExtensionView();
    fresh.apply(first.rooms, first.outcome.response.extensions);
    const told = first.rooms.map(({ roomId }) => roomId);
    const joined = told.filter((roomId) => this.#roomOf(roomId).membership === Membership.join);
    expect([
      ...this.#wrong,
      ...extensionDifferences(this.#view, fresh, { told, joined }),
      ...(last.writes ? ["what was told is written again"] : []),
      ...(last.outcome.hasNews ? ["there is news where nothing changed"] : []),
      ...(this.#world.personal.reads - before === 1 ? [] : ["something was read though nothing changed"]),
    ]).toEqual([]);
  }

  #take({ answer }: Given): void {
    this.#connection.confirm(answer);
    this.#given = [];
    this.#view.apply(answer.rooms, answer.outcome.response.extensions);
  }

  /** Nothing is told that is not asked for, or that nobody may see. */
  #check({ outcome }: Answer, { scopes, lists, subscribed }: Wish): void {
    const { extensions } = outcome.response;
    const check = (isRight: boolean, what: string) => isRight || this.#wrong.push(what);
    for (const stream of STREAMS) {
      check((extensions[stream] === undefined) === (scopes[stream] === undefined), `${stream} is asked for, or not`);
      const { rooms: named = [], lists: wished = [] } = scopes[stream] ?? {};
      for (const roomId of extensions[stream]?.rooms.keys() ?? []) {
        const number = this.rooms.findIndex((room) => room.roomId === roomId);
        const isNamed = named === "all" || named.includes(number);
        check(isNamed || wished === "all" || wished.length > 0, `${stream} of ${roomId} is out of scope`);
        check(lists.length > 0 || subscribed.includes(number), `${stream} of ${roomId}, which is not covered`);
        const isJoined = this.rooms[number]!.membership === Membership.join;
        check(isJoined || stream === "accountData", `${stream} of ${roomId}, which the reader is not in`);
      }
    }
    this.#checkPersonal(extensions, check);
  }

  #checkPersonal({ receipts, typing }: ExtensionsResponse, check: (isRight: boolean, what: string) => void): void {
    const { ignored } = this.#world;
    for (const { userId, type, eventId } of [...(receipts?.rooms.values() ?? [])].flat()) {
      if (userId === alice) continue;
      check(type === "m.read", `a private receipt of ${userId}`);
      check(!ignored.has(userId), `a receipt of ${userId}`);
      check(!this.#hidden.has(eventId), `a receipt on ${eventId}, which the reader may not see`);
    }
    for (const userId of [...(typing?.rooms.values() ?? [])].flat()) check(!ignored.has(userId), `${userId} types`);
  }

  #roomOf = (roomId: RoomId): TestRoom => this.rooms.find((room) => room.roomId === roomId)!;

  #requestOf({ lists, subscribed, scopes }: Wish): SyncRequest {
    const idOf = (number: number) => this.rooms[number]!.roomId;
    const scopeOf = (scope: WishedScope | undefined): ExtensionScope | undefined =>
      scope && {
        lists: scope.lists === "all" ? "all" : new Set(scope.lists),
        rooms: scope.rooms === "all" ? "all" : new Set(scope.rooms.map(idOf)),
      };
    const extensions: ExtensionsRequest = {
      accountData: scopeOf(scopes.accountData),
      receipts: scopeOf(scopes.receipts),
      typing: scopeOf(scopes.typing),
    };
    const asked = lists.map(({ ranges, limit }, at) => [`list${at}`, list(ranges, config(limit))] as const);
    return request(Object.fromEntries(asked), new Map(subscribed.map((room) => [idOf(room), config(1)])), {
      extensions,
    });
  }
}

const room = fc.nat(ROOMS - 1);
const yesOrNo = fc.boolean();
const user = fc.constantFrom(alice, bob, carol, dave);
const someRooms = fc.uniqueArray(room, { maxLength: 2 });
const limit = fc.constantFrom(0, 1, 2, 5);
const range = fc.tuple(room, room).map(([first, size]) => [[first, first + size]] as const);
const oneList = fc.record({ ranges: fc.oneof(range, fc.constant("all" as const)), limit });
const scope: fc.Arbitrary<WishedScope | undefined> = fc.oneof(
  { weight: 3, arbitrary: fc.constant(EVERYTHING) },
  { weight: 2, arbitrary: fc.constant(undefined) },
  {
    weight: 2,
    arbitrary: fc.record({
      lists: fc.constantFrom<WishedScope["lists"]>("all", [], ["list0"], ["list1", "list2"]),
      rooms: fc.oneof(fc.constant("all" as const), someRooms),
    }),
  },
);
const wish: fc.Arbitrary<Wish> = fc.record({
  lists: fc.array(oneList, { maxLength: 2 }),
  subscribed: someRooms,
  scopes: fc.record({ accountData: scope, receipts: scope, typing: scope }),
});

const doing = <Drawn>(words: string, drawn: fc.Arbitrary<Drawn>, take: (scenario: Scenario, drawn: Drawn) => void) =>
  drawn.map((each) => new Step<Scenario>((scenario) => take(scenario, each), words, each));
const inRoom = <Drawn>(
  words: string,
  drawn: fc.Arbitrary<Drawn>,
  take: (scenario: Scenario, at: TestRoom, drawn: Drawn) => void,
) => doing(words, fc.tuple(room, drawn), (scenario, [number, each]) => take(scenario, scenario.rooms[number]!, each));

const nothing = fc.constant(undefined);
const membership = fc.constantFrom(Membership.join, Membership.join, Membership.leave, Membership.invite);
const types = fc.constantFrom("m.marked_unread", "m.fully_read");

const steps: readonly (readonly [weight: number, step: fc.Arbitrary<Step<Scenario>>])[] = [
  [14, doing("sync", wish, (scenario, wished) => scenario.sync(wished))],
  [2, doing("ask", wish, (scenario, wished) => scenario.ask(wished))],
  [2, doing("take late", fc.nat(3), (scenario, number) => scenario.takeLate(number))],
  [2, doing("stop after", wish, (scenario, wished) => scenario.stopAfter(wished))],
  [1, doing("begin anew", nothing, (scenario) => scenario.beginAnew())],
  [1, doing("restart server", nothing, (scenario) => scenario.restartServer())],
  [2, doing("keep back", yesOrNo, (scenario, isOn) => scenario.keepBack(isOn))],
  [1, inRoom("break", yesOrNo, (_scenario, at, isBroken) => Object.assign(at, { isBroken }))],
  [3, inRoom("move", membership, (scenario, at, to) => scenario.move(at, to))],
  [1, inRoom("be away", user, (scenario, at, userId) => scenario.beAway(at, userId))],
  [6, inRoom("message", fc.tuple(user, yesOrNo), (scenario, at, drawn) => scenario.message(at, ...drawn))],
  [10, inRoom("receipt", fc.tuple(user, fc.nat(4), yesOrNo), (scenario, at, drawn) => scenario.receipt(at, ...drawn))],
  [5, inRoom("type", fc.uniqueArray(user, { maxLength: 2 }), (scenario, at, users) => scenario.type(at, users))],
  [5, inRoom("data", fc.tuple(types, fc.nat(3)), (scenario, at, drawn) => scenario.setAccountData(at, ...drawn))],
  [
    3,
    doing("global data", fc.tuple(types, fc.nat(3)), (scenario, drawn) => scenario.setAccountData(undefined, ...drawn)),
  ],
];

test("whatever a client asks for and whatever gets lost, it has the account data, receipts and typing that a new one is told", () => {
  const step = fc.oneof(...steps.map(([weight, arbitrary]) => ({ weight, arbitrary })));
  const round = fc.record({ steps: fc.array(step, { minLength: 1, maxLength: 10, size: "max" }), limit });
  const rounds = fc.array(round, { minLength: 1, maxLength: 10, size: "max" });
  const ignored = fc.uniqueArray(fc.constantFrom(dave), { maxLength: 1 });
  fc.assert(
    fc.property(ignored, rounds, (ignoring, all) => {
      const scenario = new Scenario(ignoring);
      for (const each of all) {
        for (const { take } of each.steps) take(scenario);
        scenario.finish(each.limit);
      }
    }),
    RUNS,
  );
});
