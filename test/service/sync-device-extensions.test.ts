// What only one device is told: to-device messages until they are acknowledged, device lists, keys.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { ExtensionsRequest } from "../../src/engine/request.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { expireDeviceLists, renumberToDevice } from "../../src/store/acknowledged.ts";
import { selectHead } from "../../src/store/changes.ts";
import { appendToDevice, lockDevices } from "../../src/store/device-stream.ts";
import { drawBatches } from "../../src/store/publish.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { StreamUser } from "../support/stored-world.ts";
import { SyncWorld } from "../support/sync-world.ts";
import { until } from "../support/until.ts";

const LONG_MS = 20_000;

let db: TestDatabase;
let world: SyncWorld;
let phone: StreamUser;
let users = 0;

beforeAll(async () => {
  db = await openTestDatabase();
  world = await SyncWorld.start(db);
});
afterAll(async () => {
  await world[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
});
beforeEach(async () => {
  phone = await world.stored.user(`user${users++}`);
  await store({});
});

const messageOf = (n: number) => ({ type: "m.test", sender: "@bob:test", content: { n } });

async function store(ofDevice: object, device = phone): Promise<void> {
  await world.stored.store(device, {}, { ofDevice });
  await world.caughtUp();
}

const tell = (numbers: readonly number[], device = phone) =>
  store({ to_device: { events: numbers.map(messageOf) } }, device);

const change = (changed: readonly string[], left: readonly string[] = []) => store({ device_lists: { changed, left } });

async function ask(extensions: ExtensionsRequest, more: { pos?: string; timeoutMs?: number; connId?: string } = {}) {
  const { response, pos } = await world.sync(phone, { connId: "encryption", ...more, extensions });
  return { ...response.extensions, pos };
}

async function messages(since?: number, limit = 100) {
  const { toDevice } = await ask({ toDevice: { since, limit } });
  return [toDevice?.events.map((event) => JSON.parse(event.toString()).content.n), toDevice?.nextBatch ?? 0] as const;
}

const stored = async (): Promise<number> => {
  const text = "SELECT count(*)::int AS count FROM to_device_messages WHERE device_nid = $1";
  const [row] = await db.query<{ count: number }>({ text, values: [phone.deviceNid] });
  return row?.count ?? 0;
};

async function isSomebodyWaiting(): Promise<boolean> {
  const text = "SELECT FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'";
  return (await db.query({ text })).length > 0;
}

describe("to-device messages", () => {
  test("come until the client acknowledges them, on whatever connection, and are gone then", async () => {
    await tell([1, 2, 3]);
    const [first, last] = await messages();
    expect(first).toEqual([1, 2, 3]);
    expect((await messages())[0]).toEqual([1, 2, 3]);
    expect(await messages(last)).toEqual([[], last]);
    expect(await stored()).toBe(0);
    await tell([4]);
    expect((await messages(last))[0]).toEqual([4]);
    // The client lost the answer.
    expect((await messages(last))[0]).toEqual([4]);
  });

  test("come in order, as many as are asked for, and the others with the next answer at once", async () => {
    await tell(Array.from({ length: 130 }, (_, n) => n));
    const [first, upTo] = await messages(undefined, 100);
    const { toDevice } = await ask({ toDevice: { since: upTo, limit: 100 } }, { timeoutMs: LONG_MS });
    const second = toDevice?.events.map((event) => JSON.parse(event.toString()).content.n) ?? [];
    expect([...(first ?? []), ...second]).toEqual(Array.from({ length: 130 }, (_, n) => n));
  });

  test("end a long poll of their device alone", async () => {
    const tablet = await world.stored.user(`user${users - 1}`, "TABLET");
    const { pos, toDevice } = await ask({ toDevice: { since: undefined, limit: 100 } });
    const since = toDevice?.nextBatch;
    const waiting = ask({ toDevice: { since, limit: 100 } }, { pos, timeoutMs: LONG_MS });
    await world.waiting();
    await tell([1], tablet);
    await world.waiting();
    await tell([2]);
    const answer = await waiting;
    expect(answer.toDevice?.events.map((event) => JSON.parse(event.toString()).content.n)).toEqual([2]);
  });

  test("of other devices, and of other users, are nobody's business", async () => {
    await tell([1], await world.stored.user(`user${users - 1}`, "TABLET"));
    await tell([2], await world.stored.user("stranger"));
    expect((await messages())[0]).toEqual([]);
  });

  test("are not removed by the token of a client that has more than this database knows, and all come", async () => {
    await tell([1, 2]);
    const ahead = (Date.now() + 60_000) * 1000;
    const [first, next] = await messages(ahead);
    expect(first).toEqual([1, 2]);
    expect(next).toBeGreaterThan(ahead);
    expect(world.logLines).toContainEqual(expect.objectContaining({ level: "warn", user: phone.userId }));
    // The answer was lost.
    expect((await messages(ahead))[0]).toEqual([1, 2]);
    await tell([3]);
    expect((await messages(ahead))[0]).toEqual([1, 2, 3]);
    expect((await messages(next))[0]).toEqual([3]);
  });

  test("that are stored while the others move above a token go with them", async () => {
    await tell([1]);
    const ahead = (Date.now() + 60_000) * 1000;
    let moving: Promise<number | undefined> | undefined;
    await db.transaction(async (tx) => {
      await lockDevices(tx, [phone.deviceNid]);
      moving = renumberToDevice(db, phone, ahead);
      await until(isSomebodyWaiting);
      const [batch = 0] = await drawBatches(tx, 1);
      await appendToDevice(tx, phone.deviceNid, [Buffer.from(JSON.stringify(messageOf(2)))], batch);
    });
    await moving;
    await world.caughtUp();
    expect((await messages(ahead))[0]).toEqual([1, 2]);
  });

  test("stay, whatever token a client invents", async () => {
    await tell([1]);
    for (const since of [Number.MAX_SAFE_INTEGER, (Date.now() + 2 * 3_600_000) * 1000, 0]) {
      expect((await messages(since))[0]).toEqual([1]);
    }
    const [head] = await db.query<{ sequence: number }>({
      text: "SELECT sequence FROM to_device_heads WHERE device_nid = $1",
      values: [phone.deviceNid],
    });
    expect(head?.sequence).toBeLessThan((Date.now() + 60_000) * 1000);
  });

  test("that another process delivered are acknowledged here, though this one learns of them late", async () => {
    await tell([1]);
    await messages();
    const other = await SyncWorld.start(db);
    await world.stored.store(phone, {}, { ofDevice: { to_device: { events: [messageOf(2)] } } });
    await other.caughtUp();
    const asked = { connId: "encryption", extensions: { toDevice: { since: undefined, limit: 100 } } };
    const { response } = await other.sync(phone, asked);
    const since = response.extensions.toDevice?.nextBatch;
    await other[Symbol.asyncDispose]();
    const caughtUp = world.caughtUp();
    expect((await messages(since))[0]).toEqual([]);
    await caughtUp;
    expect(await stored()).toBe(0);
  });
});

describe("device lists", () => {
  const lists = async (pos: string, more: { timeoutMs?: number } = {}) => {
    const { e2ee, pos: next } = await ask({ e2ee: true }, { pos, ...more });
    return { ...e2ee?.deviceLists, pos: next };
  };

  test("are told once for each connection, and again where the answer was lost", async () => {
    await change(["@before:test"]);
    const { pos, e2ee } = await ask({ e2ee: true });
    expect(e2ee?.deviceLists).toBeUndefined();
    await change(["@a:test", "@b:test"]);
    await change(["@c:test"], ["@b:test"]);
    const told = { changed: ["@a:test", "@c:test"], left: ["@b:test"] };
    expect(await lists(pos)).toMatchObject(told);
    const answer = await lists(pos);
    expect(answer).toMatchObject(told);
    expect(await lists(answer.pos)).toMatchObject({ changed: [], left: [] });
    const other = await ask({ e2ee: true }, { connId: "other" });
    expect(other.e2ee?.deviceLists).toBeUndefined();
  });

  test("end a long poll, and are whole however many they are", async () => {
    const { pos } = await ask({ e2ee: true });
    const waiting = lists(pos, { timeoutMs: LONG_MS });
    await world.waiting();
    const many = Array.from({ length: 14_000 }, (_, n) => `@user${n}:test`);
    await change(many);
    const { changed = [] } = await waiting;
    expect([...changed].sort()).toEqual(many.sort());
  });

  test("hold over a restart", async () => {
    const { pos } = await ask({ e2ee: true });
    await change(["@a:test"]);
    await world.restart();
    expect(await lists(pos)).toMatchObject({ changed: ["@a:test"] });
  });

  test("two processes with one connection id do not disturb each other, and nothing of them is stored", async () => {
    const [app, notifier] = [(await ask({ e2ee: true })).pos, (await ask({ e2ee: true })).pos];
    await change(["@a:test"]);
    for (const pos of [app, notifier, app]) expect(await lists(pos)).toMatchObject({ changed: ["@a:test"] });
    const text = "SELECT 1 FROM connections WHERE user_nid = $1";
    expect(await db.query({ text, values: [phone.userNid] })).toEqual([]);
  });

  test("that no client has stay for ever; after those that one has are gone, older connections begin anew", async () => {
    const { pos } = await ask({ e2ee: true });
    await change(["@a:test"]);
    await expireDeviceLists(db, await selectHead(db));
    const { pos: later, changed } = await lists(pos);
    expect(changed).toEqual(["@a:test"]);
    // The other device of a pair is told it too, much later.
    const month = await SyncWorld.start(db, { clock: { ...systemClock, nowMs: () => Date.now() + 40 * 86_400_000 } });
    const asked = { connId: "encryption", extensions: { e2ee: true } } as const;
    const { response } = await month.sync(phone, { ...asked, pos: later });
    expect(response.extensions.e2ee?.deviceLists).toEqual({ changed: [], left: [] });
    await expireDeviceLists(db, await selectHead(db));
    await expect(month.sync(phone, { ...asked, pos })).rejects.toMatchObject({ errcode: "M_UNKNOWN_POS" });
    await month[Symbol.asyncDispose]();
  });
});

test("a position of a database that was replaced by an older one is unknown, at once", async () => {
  await using newer = await openTestDatabase();
  await using older = await openTestDatabase();
  const ask = async (of: TestDatabase, pos: string | undefined) => {
    await using process = await SyncWorld.start(of);
    const user = await process.stored.user("user");
    if (pos === undefined)
      await process.stored.store(user, {}, { ofDevice: { to_device: { events: [messageOf(1)] } } });
    await process.caughtUp();
    return await process.sync(user, { connId: "encryption", extensions: { e2ee: true }, pos });
  };
  const { pos } = await ask(newer, undefined);
  await expect(ask(older, pos)).rejects.toMatchObject({ errcode: "M_UNKNOWN_POS" });
});

describe("keys of the device", () => {
  test("are left out until they are known, and end a long poll then", async () => {
    const { pos, e2ee } = await ask({ e2ee: true });
    expect([e2ee?.oneTimeKeys, e2ee?.fallbackKeys]).toEqual([undefined, undefined]);
    const waiting = ask({ e2ee: true }, { pos, timeoutMs: LONG_MS });
    await world.waiting();
    await store({ device_one_time_keys_count: { signed_curve25519: 0 }, device_unused_fallback_key_types: [] });
    const known = (await waiting).e2ee;
    expect([known?.oneTimeKeys, known?.fallbackKeys].map(String)).toEqual(['{"signed_curve25519":0}', "[]"]);
  });

  test.each([
    ["one-time keys", { device_one_time_keys_count: { signed_curve25519: 49 } }],
    ["an algorithm", { device_one_time_keys_count: {} }],
    ["a fallback key", { device_unused_fallback_key_types: [] }],
  ])("are told at once where %s went, and with another answer where there are more", async (_what, fewer) => {
    const many = {
      device_one_time_keys_count: { signed_curve25519: 50 },
      device_unused_fallback_key_types: ["signed_curve25519"],
    };
    await store(many);
    const { pos } = await ask({ e2ee: true });
    const waiting = ask({ e2ee: true }, { pos, timeoutMs: LONG_MS });
    await world.waiting();
    await store({ device_one_time_keys_count: { signed_curve25519: 60, other: 1 } });
    await world.waiting();
    await store(fewer);
    const { e2ee } = await waiting;
    const [name, value] = Object.entries(fewer)[0]!;
    const said = name === "device_one_time_keys_count" ? e2ee?.oneTimeKeys : e2ee?.fallbackKeys;
    expect(JSON.parse(String(said))).toEqual(value);
  });
});
