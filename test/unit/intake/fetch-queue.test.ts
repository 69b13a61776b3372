import { afterEach, beforeEach, describe, expect, jest, test } from "@jest/globals";
import type { ValueAnswer } from "../../../src/homeserver/value-reads.ts";
import type { Caller } from "../../../src/intake/fetch/callers.ts";
import { FetchQueue } from "../../../src/intake/fetch/fetch-queue.ts";
import type { Contest } from "../../../src/intake/ingest/contest.ts";
import type { ResponsePart } from "../../../src/intake/ingest/part.ts";
import type { RoomId, UserId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { UpstreamError } from "../../../src/model/upstream-error.ts";

const MINUTE_MS = 60_000;

beforeEach(() => {
  jest.useFakeTimers({ now: 0 });
});
afterEach(() => {
  jest.useRealTimers();
});

/** State contests; the asker is a user by number. */
function contest(key: string, userNid = 1, roomId = "!r:test", isMissing = false): Contest {
  const asker = { userNid: userNid as UserNid, userId: `@u${userNid}:test` as UserId };
  return { ...asker, kind: "state", roomId: roomId as RoomId, type: "org.state", stateKey: key, isMissing };
}

/** A queue before a homeserver that answers as the test says. */
class World {
  readonly asked: string[] = [];
  readonly parts: ResponsePart[] = [];
  readonly settled: string[] = [];
  failures = 0;
  head = 7;
  /** Users who are polled. */
  readonly users = new Set([1, 2]);
  answer: (user: string, key: string) => ValueAnswer | Promise<ValueAnswer> = (_user, key) => event(key);
  onStore: (part: ResponsePart) => void = () => {};
  readonly queue = new FetchQueue({
    reads: {
      stateEvent: (call, ...where) => this.#state(call.token, ...where),
      accountData: never,
      joinedRooms: never,
    },
    rooms: { newestMessages: never },
    timelineLimit: 20,
    store: {
      live: async (part) => {
        this.parts.push(part);
        this.onStore(part);
      },
    },
    head: async () => this.head as StreamPosition,
    nowUs: () => Date.now() * 1000,
    callerOf: (userNid) => (this.users.has(userNid) ? caller(userNid) : undefined),
    clock: { nowMs: () => Date.now() },
    random: () => 0,
    events: {
      onSettled: (of, outcome) => this.settled.push(`${of.kind === "state" ? of.stateKey : of.kind} ${outcome}`),
      onFailed: (questions) => {
        this.failures += questions;
      },
      onWaiting: () => {},
    },
  });

  async #state(user: string, _room: RoomId, type: string, key: string): Promise<ValueAnswer> {
    if (type === "m.room.member") return event(key, type, { membership: "join" });
    this.asked.push(`${user} ${key}`);
    return await this.answer(user, key);
  }
}

const never = () => Promise.reject(new Error("not asked here"));

const caller = (userNid: UserNid): Caller => ({
  device: { userNid, userId: `@u${userNid}:test` } as Caller["device"],
  token: `u${userNid}`,
  forwarded: { xForwardedFor: undefined, userAgent: undefined },
});

function event(stateKey: string, type = "org.state", content: object = {}): ValueAnswer {
  const json = {
    event_id: `$${stateKey}`,
    type,
    state_key: stateKey,
    sender: "@u1:test",
    origin_server_ts: 1,
    content,
  };
  return { kind: "found", raw: Buffer.from(JSON.stringify(json)) };
}

const status = (code: number, retryAfterMs?: number) =>
  new UpstreamError("failed", { kind: "status", status: code, errcode: undefined, retryAfterMs });

const pass = (ms = 0) => jest.advanceTimersByTimeAsync(ms);

describe("a question", () => {
  test("is asked at once, and its answer stored with what was stored before it was sent", async () => {
    const world = new World();
    world.queue.add([contest("a")]);
    expect(world.queue.isIdle).toBe(false);
    await pass();
    expect([world.asked, world.settled, world.queue.isIdle]).toEqual([["u1 a"], ["a decided"], true]);
    const [part] = world.parts;
    expect(part).toMatchObject({ source: { storedBefore: 7, poll: "asked" }, end: undefined, asked: [] });
    expect(part?.sections.map(({ kind, state }) => [kind, state.map(({ eventId }) => eventId)])).toEqual([
      ["join", ["$a", "$@u1:test"]],
    ]);
  });

  test("is asked once, however often it comes up meanwhile, and once more then", async () => {
    const world = new World();
    const { promise, resolve } = Promise.withResolvers<ValueAnswer>();
    world.answer = () => promise;
    world.queue.add([contest("a"), contest("a", 2), contest("a")]);
    await pass();
    world.queue.add([contest("a", 2), contest("a")]);
    await pass(MINUTE_MS);
    expect(world.asked).toHaveLength(1);
    world.head = 9;
    resolve(event("a"));
    await pass(MINUTE_MS);
    expect([world.asked.length, world.settled]).toEqual([2, ["a decided"]]);
    expect(world.parts.map(({ source }) => source.storedBefore)).toEqual([7, 9]);
  });

  test("that its own answer leaves open is asked again, ever more seldom", async () => {
    const world = new World();
    let opens = 3;
    world.onStore = () => {
      opens -= 1;
      if (opens > 0) world.queue.add([contest("a")]);
    };
    const times: number[] = [];
    world.answer = (_user, key) => {
      times.push(Date.now());
      return event(key);
    };
    world.queue.add([contest("a")]);
    await pass(MINUTE_MS);
    expect([times, world.settled]).toEqual([[0, 500, 1_500], ["a decided"]]);
  });

  test("is asked as another user when the first may not know, and given up when none may", async () => {
    const world = new World();
    world.answer = (user, key) => (user === "u2" ? event(key) : { kind: "refused", status: 403, errcode: undefined });
    world.queue.add([contest("a"), contest("a", 2), contest("b")]);
    await pass(MINUTE_MS);
    expect(world.asked.sort()).toEqual(["u1 a", "u1 b", "u2 a"]);
    expect(world.settled.sort()).toEqual(["a decided", "b refused"]);
  });

  test("waits for a user who is polled, for some time", async () => {
    const world = new World();
    world.users.clear();
    world.queue.add([contest("a"), contest("b", 2)]);
    await pass(MINUTE_MS);
    world.users.add(2);
    await pass(MINUTE_MS);
    expect([world.asked, world.settled]).toEqual([["u2 b"], ["b decided"]]);
    await pass(30 * MINUTE_MS);
    expect([world.settled, world.queue.isIdle]).toEqual([["b decided", "a dropped"], true]);
  });
});

describe("a homeserver that fails", () => {
  test.each([
    ["is asked again after waits that grow", status(500), [0, 500, 1_500, 3_500]],
    ["says when to come again", status(429, 10_000), [0, 10_000, 20_000, 30_000]],
    ["does not answer", new UpstreamError("gone", { kind: "timeout" }), [0, 500, 1_500, 3_500]],
    ["has no longer the token", status(401), [0, 500, 1_500, 3_500]],
  ])("%s", async (_, error, expected) => {
    const world = new World();
    const times: number[] = [];
    world.answer = (_user, key) => {
      times.push(Date.now());
      if (times.length < expected.length) throw error;
      return event(key);
    };
    world.queue.add([contest("a")]);
    await pass(5 * MINUTE_MS);
    expect([times, world.settled, world.failures]).toEqual([expected, ["a decided"], expected.length - 1]);
  });

  test("is asked for as long as it is away, and no question is given up", async () => {
    const world = new World();
    let isAway = true;
    world.answer = (_user, key) => {
      if (isAway) throw new UpstreamError("gone", { kind: "unreachable" });
      return event(key);
    };
    world.queue.add([contest("a")]);
    await pass(120 * MINUTE_MS);
    isAway = false;
    await pass(2 * MINUTE_MS);
    expect(world.settled).toEqual(["a decided"]);
  });

  test("gives nonsense is asked a few times", async () => {
    const world = new World();
    let sense = 3;
    world.answer = (_user, key) => {
      sense -= 1;
      return event(key, sense > 0 ? "org.other" : "org.state");
    };
    world.queue.add([contest("a")]);
    await pass(MINUTE_MS);
    expect([sense, world.settled]).toEqual([0, ["a decided"]]);
    sense = 4;
    world.queue.add([contest("a")]);
    await pass(MINUTE_MS);
    expect([sense, world.settled]).toEqual([1, ["a decided", "a invalid"]]);
  });

  test("at one question for ever does not hold up the others, and that one is given up", async () => {
    const world = new World();
    world.answer = (_user, key) => {
      if (key === "bad") throw status(500);
      return event(key);
    };
    world.queue.add([contest("a"), contest("bad"), contest("b")]);
    await pass(5_000);
    expect(world.settled.sort()).toEqual(["a decided", "b decided"]);
    await pass(30 * MINUTE_MS);
    expect([world.settled.at(-1), world.queue.isIdle]).toEqual(["bad dropped", true]);
  });
});

describe("what may be asked", () => {
  test("is bounded in number", async () => {
    const world = new World();
    world.users.clear();
    world.queue.add(Array.from({ length: 5_001 }, (_, index) => contest(`k${index}`, 1, `!r${index % 50}:test`)));
    expect(world.settled).toEqual(["k5000 dropped"]);
    await world.queue.stop();
  });

  test("is bounded in rate: by room and by user", async () => {
    const world = new World();
    world.queue.add(Array.from({ length: 100 }, (_, index) => contest(`k${index}`, 1, `!r${index % 10}:test`)));
    await pass(500);
    // Fifty calls in a second, the own member events among them.
    expect(world.asked.length).toBeLessThan(40);
    await pass(5_000);
    expect([world.asked.length, world.queue.isIdle]).toEqual([100, true]);
  });

  test("ends with the queue, and what is under way is cut", async () => {
    const world = new World();
    const { promise, reject } = Promise.withResolvers<ValueAnswer>();
    world.answer = () => promise;
    world.queue.add([contest("a")]);
    await pass();
    const stopped = world.queue.stop();
    reject(new DOMException("aborted", "AbortError"));
    await stopped;
    world.queue.add([contest("b")]);
    await pass(MINUTE_MS);
    expect([world.asked, world.settled, world.failures]).toEqual([["u1 a"], [], 0]);
  });
});

describe("a member of whom the homeserver knows nothing", () => {
  test("is asked for again only after some time; what is contested is asked for at once", async () => {
    const world = new World();
    world.answer = () => ({ kind: "absent" });
    world.queue.add([contest("@ghost:test", 1, "!r:test", true)]);
    await pass();
    world.queue.add([contest("@ghost:test", 1, "!r:test", true)]);
    await pass(MINUTE_MS);
    expect(world.asked).toHaveLength(1);
    world.queue.add([contest("@ghost:test")]);
    await pass(MINUTE_MS);
    expect(world.asked).toHaveLength(2);
    await pass(10 * MINUTE_MS);
    world.queue.add([contest("@ghost:test", 1, "!r:test", true)]);
    await pass();
    expect(world.asked).toHaveLength(3);
  });
});
