import { describe, expect, test } from "@jest/globals";
import type { ResponsePart } from "../../../src/intake/ingest/part.ts";
import { MalformedResponseError, type PartStore, ResponseIntake } from "../../../src/intake/poller/response-intake.ts";
import { JsonSyntaxError } from "../../../src/lib/json-errors.ts";
import type { DeviceNid, UserId, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { ALICE, create, inRoom, messages } from "../../support/v2-events.ts";

/** Parts in the order in which they came, and ways to hold them up or fail them. */
class FakeStore implements PartStore {
  readonly position = 7 as StreamPosition;
  readonly parts: { readonly lane: "live" | "bulk"; readonly part: ResponsePart }[] = [];
  /** What the next bulk parts end with. */
  bulkEnd: Promise<void> = Promise.resolve();

  async live(part: ResponsePart): Promise<void> {
    this.parts.push({ lane: "live", part });
  }

  async bulk(part: ResponsePart): Promise<void> {
    this.parts.push({ lane: "bulk", part });
    await this.bulkEnd;
  }
}

function start(store: PartStore, ignored?: ReadonlySet<string>) {
  const aside: string[] = [];
  let us = 0;
  const intake = new ResponseIntake(
    {
      claim: { deviceNid: 1 as DeviceNid, epoch: 3 },
      source: {
        userNid: 1 as UserNid,
        userId: ALICE as UserId,
        deviceNid: 1,
        poll: "live",
        storedBefore: 5 as StreamPosition,
        toldUpTo: undefined,
        lastSeen: new Map(),
      },
      ignored,
      since: "s0",
      nowUs: () => ++us,
    },
    store,
    { onSetAside: (what, where, reason) => aside.push(`${what} ${where}: ${reason}`) },
  );
  return { intake, aside };
}

const write = (intake: ResponseIntake, text: string) => intake.write(Buffer.from(text));

async function takeIn(body: object, store = new FakeStore(), ignored?: ReadonlySet<string>) {
  const { intake, aside } = start(store, ignored);
  await write(intake, JSON.stringify(body));
  return { taken: await intake.end(), store, aside };
}

/** So many rooms, each with so many messages. */
function rooms(count: number, events: number, prefix = "room"): Record<string, object> {
  const ids = Array.from({ length: count }, (_, n) => `!${prefix}${n}:test`);
  return Object.fromEntries(
    ids.map((id) => [id, inRoom(messages(...Array.from({ length: events }, (_, n) => `$${id}${n}`)))]),
  );
}

const counts = (store: FakeStore) =>
  store.parts.map(({ lane, part }) => [lane, part.sections.length, part.end !== undefined]);
const ignoring = { type: "m.ignored_user_list", content: { ignored_users: { "@m:test": {} } } };

describe("a short response", () => {
  test("is stored whole, with where the stream goes on", async () => {
    const { taken, store } = await takeIn({ next_batch: "s1", rooms: { join: rooms(3, 2) } });
    expect(counts(store)).toEqual([["live", 3, true]]);
    expect(store.parts[0]?.part).toMatchObject({
      claim: { deviceNid: 1, epoch: 3 },
      source: { userId: ALICE, storedBefore: 5 },
      token: "s1",
      end: { since: { from: "s0", to: "s1" } },
      receivedUs: 1,
    });
    expect(taken).toMatchObject({ nextBatch: "s1", isEmpty: false, ignored: new Set() });
    expect(taken.bytes).toBeGreaterThan(100);
    expect([...taken.lastSeen.values()]).toEqual([0, 1, 2].map((n) => `$!room${n}:test1`));
  });

  test("is empty when it has nothing but key counts and where the stream goes on", async () => {
    const keys = { device_one_time_keys_count: {}, device_unused_fallback_key_types: [] };
    expect((await takeIn({ next_batch: "s1", ...keys })).taken.isEmpty).toBe(true);
    const event = { type: "m.test", content: {} };
    const news = [
      { account_data: { events: [event] } },
      { to_device: { events: [event] } },
      { device_lists: { changed: [ALICE] } },
      { device_lists: { left: [ALICE] } },
      { rooms: { invite: { "!a:test": {} } } },
    ];
    for (const each of news) expect((await takeIn({ next_batch: "s1", ...each })).taken.isEmpty).toBe(false);
  });

  test("without next_batch is none, and nothing of it is stored", async () => {
    const store = new FakeStore();
    await expect(takeIn({ rooms: { join: rooms(1, 1) } }, store)).rejects.toThrow(MalformedResponseError);
    await expect(takeIn({ next_batch: 5 }, store)).rejects.toThrow(MalformedResponseError);
    expect(store.parts).toEqual([]);
  });

  test("that breaks off is not stored", async () => {
    const store = new FakeStore();
    const { intake } = start(store);
    await write(intake, JSON.stringify({ next_batch: "s1", rooms: { join: rooms(1, 1) } }).slice(0, -1));
    await expect(intake.end()).rejects.toThrow(JsonSyntaxError);
    expect(store.parts).toEqual([]);
  });

  test("tells what was set aside, and where", async () => {
    const join = { "!a:test": inRoom([{ ...create(), event_id: "x" }]), b: {} };
    const { aside } = await takeIn({ next_batch: "s1", rooms: { join } });
    expect(aside).toEqual([
      "event !a:test m.room.create: event_id is not an event id",
      "room b: not a room id with an object",
    ]);
  });
});

describe("a long response", () => {
  const long = { next_batch: "s1", rooms: { join: { ...rooms(30, 50), ...rooms(3, 1, "last") } } };

  test("is stored in parts of whole rooms, and moves on with the last of them", async () => {
    const store = new FakeStore();
    const { intake } = start(store);
    const body = JSON.stringify(long);
    for (let at = 0; at < body.length; at += 5_000) await write(intake, body.slice(at, at + 5_000));
    const before = store.parts.length;
    const taken = await intake.end();
    expect(before).toBeGreaterThan(0);
    expect(store.parts.map(({ lane }) => lane)).toEqual(["bulk", "bulk", "bulk", "live"]);
    expect(store.parts.map(({ part }) => part.sections.length).reduce((a, b) => a + b)).toBe(33);
    expect(store.parts.at(-1)?.part).toMatchObject({ sections: [], end: { since: { to: "s1" } } });
    expect(store.parts[0]?.part).toMatchObject({ end: undefined, receivedUs: undefined, token: "s1" });
    expect(taken.isEmpty).toBe(false);
    const ids = store.parts.flatMap(({ part }) => part.sections.map(({ roomId }) => roomId));
    expect(ids).toEqual(Object.keys(long.rooms.join));
  });

  test.each([
    ["rooms without events", { invite: Object.fromEntries(Array.from({ length: 1_100 }, (_, n) => [`!${n}`, {}])) }],
    ["heavy receipts", { join: { "!a": inRoom([], { ephemeral: { events: [{ text: "x".repeat(1_100_000) }] } }) } }],
  ])("may be long by %s", async (_, sections) => {
    const { store } = await takeIn({ next_batch: "s1", rooms: sections });
    expect(counts(store).map(([lane]) => lane)).toEqual(["bulk", "live"]);
  });

  test("is read on when what came is stored", async () => {
    const store = new FakeStore();
    const { promise, resolve } = Promise.withResolvers<void>();
    store.bulkEnd = promise;
    const { intake } = start(store);
    const part = (prefix: string) => JSON.stringify(rooms(25, 50, prefix)).slice(1, -1);
    let isWritten = false;
    const first = write(intake, `{"rooms":{"join":{${part("a")}`).then(() => {
      isWritten = true;
    });
    await new Promise((done) => setImmediate(done));
    expect([store.parts.length, isWritten]).toEqual([1, false]);
    resolve();
    await first;
    await write(intake, `,${part("b")}`);
    expect(store.parts.length).toBe(2);
  });

  test("fails with a part that could not be stored, and is not moved on", async () => {
    const store = new FakeStore();
    store.bulkEnd = Promise.reject(new Error("no database"));
    store.bulkEnd.catch(() => undefined);
    await expect(takeIn(long, store)).rejects.toThrow("no database");
    expect(store.parts.map(({ lane }) => lane)).not.toContain("live");
  });
});

describe("whom a stream attests for", () => {
  const attested = (store: FakeStore) => store.parts.map(({ part }) => part.source.ignoresSomebody);
  const long = rooms(25, 50);
  const mallory = new Set(["@m:test"]);

  test("is everybody when its user ignores nobody, as soon as that is known", async () => {
    expect(attested((await takeIn({ next_batch: "s1", rooms: { join: rooms(1, 1) } })).store)).toEqual([false]);
    const first = { account_data: { events: [] }, rooms: { join: long }, next_batch: "s1" };
    expect(attested((await takeIn(first)).store)).toEqual([false, false]);
    const last = { rooms: { join: long }, account_data: { events: [] }, next_batch: "s1" };
    const store = new FakeStore();
    const { intake } = start(store);
    const body = JSON.stringify(last);
    const cut = body.indexOf("account_data");
    await write(intake, body.slice(0, cut));
    await write(intake, body.slice(cut));
    await intake.end();
    expect(attested(store)).toEqual([true, false]);
  });

  test("is its user alone when that ignores somebody, as the response says or as was known", async () => {
    const told = { account_data: { events: [ignoring] }, rooms: { join: long }, next_batch: "s1" };
    const { store, taken } = await takeIn(told, new FakeStore(), new Set());
    expect([attested(store), taken.ignored]).toEqual([[true, true], mallory]);
    const known = await takeIn({ next_batch: "s1", rooms: { join: rooms(1, 1) } }, new FakeStore(), mallory);
    expect([attested(known.store), known.taken.ignored]).toEqual([[true], mallory]);
    expect(known.store.parts[0]?.part.source.ignored).toEqual(mallory);
    const nobody = { type: "m.ignored_user_list", content: { ignored_users: {} } };
    const freed = await takeIn({ next_batch: "s1", account_data: { events: [nobody] } }, new FakeStore(), mallory);
    expect(freed.taken.ignored).toEqual(new Set());
  });
});
