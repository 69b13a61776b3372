import { setImmediate as immediate } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import type { ReadCall } from "../../../src/homeserver/get-as-user.ts";
import type { MessagesPage } from "../../../src/homeserver/room-reads.ts";
import type { ValueAnswer } from "../../../src/homeserver/value-reads.ts";
import type { Caller } from "../../../src/intake/fetch/callers.ts";
import { type HistoryQueueDeps, historyQueue } from "../../../src/intake/history/history-queue.ts";
import type { ResponsePart } from "../../../src/intake/ingest/part.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { UpstreamError } from "../../../src/model/upstream-error.ts";
import type { Database, Tx } from "../../../src/store/database.ts";
import { ALICE, message } from "../../support/v2-events.ts";

const caller = (userNid: number) =>
  ({ device: { userNid, userId: ALICE, deviceNid: userNid }, token: `token${userNid}` }) as unknown as Caller;
const status = (code: number) =>
  new UpstreamError("no", { kind: "status", status: code, errcode: undefined, retryAfterMs: undefined });
const PAGE: MessagesPage = { events: [Buffer.from(JSON.stringify(message("$1")))], end: "t1" };
const NOBODY: ValueAnswer = { kind: "found", raw: Buffer.from('{"ignored_users":{}}') };

/** A queue over a database in which each user wants the history of some rooms. */
class World {
  /** By user. */
  readonly wanted = new Map<number, number>();
  readonly stored: ResponsePart[] = [];
  readonly outcomes: string[] = [];
  readonly againAfter: unknown[] = [];
  readonly errors: Error[] = [];
  /** Rooms being read now, and when they were most. */
  reading = 0;
  mostReading = 0;
  page: (call: ReadCall) => Promise<MessagesPage> = async () => PAGE;
  ignored: () => Promise<ValueAnswer> = async () => NOBODY;
  polled: (userNid: number) => boolean = () => true;
  readonly queue: ReturnType<typeof historyQueue>;
  #tell: (payload: string) => void = () => {};

  constructor() {
    const rowsOf = (userNid: number) => {
      const rooms = Array.from({ length: this.wanted.get(userNid) ?? 0 }, (_, room) => ({
        room,
        room_id: `!${userNid}.${room}:test`,
        token: "t",
        anchor: "$x",
        visibility: 2,
        events: 1,
      }));
      this.wanted.delete(userNid);
      return rooms;
    };
    const tx = {
      query: async ({ name, values }: { name: string; values: unknown[] }) => {
        if (name === "settle-history") this.againAfter.push(values[3]);
        return [];
      },
    };
    const db = {
      query: async ({ values }: { values: number[] }) => rowsOf(values[0] ?? 0),
      transaction: async (work: (tx: Tx) => Promise<unknown>) => await work(tx as unknown as Tx),
      listen: async (_channel: string, onMessage: (payload: string) => void) => {
        this.#tell = onMessage;
        return { [Symbol.asyncDispose]: async () => {} };
      },
    };
    const deps: HistoryQueueDeps = {
      db: db as unknown as Database,
      rooms: { messagesBefore: (call) => this.#read(call) },
      values: { accountData: () => this.ignored() },
      store: { live: async (part) => void this.stored.push(part) },
      callerOf: (userNid) => (this.polled(userNid) ? caller(userNid) : undefined),
      head: async () => 7 as StreamPosition,
      nowUs: () => 0,
      onPosition: () => {},
      onSettled: (_want, outcome) => this.outcomes.push(outcome),
      onError: (error) => this.errors.push(error),
    };
    this.queue = historyQueue(deps);
  }

  /** These users want history of so many rooms each. */
  async want(rooms: number, ...users: readonly number[]): Promise<void> {
    await this.queue.listen();
    for (const user of users) this.wanted.set(user, rooms);
    for (const user of users) this.#tell(String(user));
    for (let turn = 0; turn < 20; turn += 1) await immediate();
  }

  async #read(call: ReadCall): Promise<MessagesPage> {
    this.reading += 1;
    this.mostReading = Math.max(this.mostReading, this.reading);
    return await this.page(call).finally(() => {
      this.reading -= 1;
    });
  }
}

test("what a user wants is fetched as that user and stored as older events, before what is known", async () => {
  const world = new World();
  await world.want(1, 3);
  const [part] = world.stored;
  expect(part).toMatchObject({
    claim: caller(3).device,
    source: { userNid: 3, poll: "history", storedBefore: 7, ignoresSomebody: false },
    history: { visibility: 2 },
    sections: [{ roomId: "!3.0:test", timeline: [{ eventId: "$1" }], prevBatch: "t1", state: [] }],
    end: undefined,
  });
  expect([...(part?.source.lastSeen ?? [])]).toEqual([["!3.0:test", "$x"]]);
  expect([world.outcomes, world.againAfter]).toEqual([["brought"], [3_600]]);
});

test.each<[string, () => Promise<ValueAnswer>, boolean]>([
  ["nobody", async () => ({ kind: "absent" }), false],
  ["somebody", async () => ({ kind: "found", raw: Buffer.from('{"ignored_users":{"@m:test":{}}}') }), true],
  [
    "perhaps somebody, as the homeserver does not say",
    async () => ({ kind: "refused", status: 403, errcode: undefined }),
    true,
  ],
  ["perhaps somebody, as it is away", () => Promise.reject(new Error("away")), true],
])("the user ignores %s", async (_name, ignored, expected) => {
  const world = new World();
  world.ignored = ignored;
  await world.want(1, 1);
  expect(world.stored[0]?.source.ignoresSomebody).toBe(expected);
});

const DAY = 86_400;

test.each<[string, () => Promise<MessagesPage>, string, number]>([
  ["has nothing", async () => ({ events: [], end: undefined }), "nothing", DAY],
  ["refuses", () => Promise.reject(status(403)), "refused", 30 * DAY],
  ["does not know it", () => Promise.reject(status(404)), "refused", 30 * DAY],
  ["is asked too often", () => Promise.reject(status(429)), "failed", 60],
  ["does not know the token any more", () => Promise.reject(status(401)), "failed", 60],
  ["fails", () => Promise.reject(status(502)), "failed", 60],
  ["talks nonsense", () => Promise.reject(new UpstreamError("?", { kind: "malformed" })), "invalid", DAY],
])("a homeserver that %s is asked again after a while", async (_name, page, outcome, seconds) => {
  const world = new World();
  world.page = page;
  await world.want(1, 1);
  expect([world.outcomes, world.againAfter, world.stored]).toEqual([[outcome], [seconds], []]);
});

test("of a user for whom another process polls nothing is taken", async () => {
  const world = new World();
  world.polled = () => false;
  await world.want(1, 1);
  expect([world.wanted.get(1), world.outcomes]).toEqual([1, []]);
});

test("rooms are read a few at a time, of one user fewer, and too many are not read at all", async () => {
  const world = new World();
  const { promise, resolve } = Promise.withResolvers<MessagesPage>();
  world.page = () => promise;
  await world.want(10, 1);
  expect(world.mostReading).toBe(3);
  await world.want(10, 2, 3, 4);
  expect(world.mostReading).toBe(8);
  await world.want(300, 5);
  expect(new Set(world.outcomes)).toEqual(new Set(["dropped"]));
  const dropped = world.outcomes.length;
  expect(dropped).toBeGreaterThan(100);
  resolve(PAGE);
  while (world.outcomes.length < 340) await immediate();
  expect(world.stored).toHaveLength(340 - dropped);
  expect(world.errors).toEqual([]);
});

test("what is being read is given up at the end, and what comes then is left alone", async () => {
  const world = new World();
  world.page = (call) =>
    new Promise((_resolve, reject) => {
      call.signal.addEventListener("abort", () => reject(call.signal.reason as Error));
    });
  await world.want(2, 1);
  expect(world.reading).toBe(2);
  await world.queue.stop();
  await world.want(1, 2);
  expect([world.reading, world.wanted.get(2), world.outcomes, world.errors]).toEqual([0, 1, [], []]);
});
