// Account data, receipts and typing, as they are stored and served.
import { afterAll, beforeAll, beforeEach, describe, expect, test } from "@jest/globals";
import type { ExtensionScope, ExtensionsRequest, SyncRequest } from "../../src/engine/request.ts";
import { SilentTyping } from "../../src/intake/silent-typing.ts";
import type { RoomId } from "../../src/model/ids.ts";
import { endTyping } from "../../src/store/typing-ends.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config, list, request } from "../support/engine.ts";
import type { JoinedBody, StreamUser, WireEvent } from "../support/stored-world.ts";
import { SyncWorld } from "../support/sync-world.ts";
import { until } from "../support/until.ts";

const LONG_MS = 20_000;
/** How long nothing is expected to come. */
const NOTHING_COMES_MS = 300;

const EVERYTHING: ExtensionScope = { lists: "all", rooms: "all" };
const ALL: ExtensionsRequest = { accountData: EVERYTHING, receipts: EVERYTHING, typing: EVERYTHING };

let db: TestDatabase;
let world: SyncWorld;
let alice: StreamUser;
let bob: StreamUser;
let roomId: RoomId;
let events: readonly WireEvent[];
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
  const { stored } = world;
  [alice, bob] = [await stored.user(`alice${users}`), await stored.user(`bob${users}`)];
  users += 1;
  roomId = stored.roomId();
  events = Array.from({ length: 4 }, () => stored.message(bob.userId));
  const room = stored.newRoom([alice.userId, bob.userId], events);
  for (const user of [alice, bob]) await store({ [roomId]: room }, user);
});

async function store(join: Readonly<Record<string, JoinedBody>>, user = alice): Promise<void> {
  await world.stored.store(user, { join });
  await world.caughtUp();
}

const inRoom = (body: JoinedBody, user = alice) => store({ [roomId]: body }, user);
const ephemeral = (type: string, content: object): JoinedBody => ({ ephemeral: { events: [{ type, content }] } });
const typing = (...userIds: readonly string[]) => ephemeral("m.typing", { user_ids: userIds });
let ts = 0;
const receipt = (eventId: string, userId: string, type = "m.read", threadId?: string) =>
  ephemeral("m.receipt", {
    [eventId]: { [type]: { [userId]: { ts: ++ts, ...(threadId !== undefined && { thread_id: threadId }) } } },
  });
const accountData = (type: string, content: object): JoinedBody => ({ account_data: { events: [{ type, content }] } });

async function ask(more: Partial<SyncRequest> = {}, limit = 2) {
  const asked = request({ main: list("all", config(limit)) }, new Map(), { extensions: ALL, ...more });
  const { response, pos } = await world.sync(alice, asked);
  const { extensions } = response;
  return {
    pos,
    global: extensions.accountData?.global.map((event) => JSON.parse(event.toString()).type),
    data: extensions.accountData?.rooms.get(roomId)?.map((event) => JSON.parse(event.toString()).type),
    receipts: extensions.receipts?.rooms
      .get(roomId)
      ?.map(({ eventId, type, userId, threadId }) => ({ eventId, type, userId, threadId })),
    typing: extensions.typing?.rooms.get(roomId),
  };
}

const idOf = (index: number): string => events.at(index)!.event_id;
const read = (eventId: string, { userId }: StreamUser, type = "m.read", threadId?: string) => ({
  ...{ eventId, type, userId, threadId },
});

describe("a first answer", () => {
  test("has all account data, own receipts, those on its events, and who types", async () => {
    await world.stored.store(alice, {}, { accountData: [{ type: "m.direct", content: {} }] });
    await inRoom(accountData("m.marked_unread", { unread: true }));
    await inRoom(receipt(idOf(0), alice.userId, "m.read.private"));
    await inRoom(receipt(idOf(0), alice.userId, "m.read", "main"));
    await inRoom(receipt(idOf(-1), bob.userId));
    await inRoom(receipt(idOf(-2), bob.userId, "m.read.private"), bob);
    await inRoom(typing(bob.userId));
    const answer = await ask();
    expect(answer).toMatchObject({ global: ["m.direct"], data: ["m.marked_unread"], typing: [bob.userId] });
    expect(answer.receipts).toHaveLength(3);
    expect(answer.receipts).toEqual(
      expect.arrayContaining([
        read(idOf(0), alice, "m.read.private"),
        read(idOf(0), alice, "m.read", "main"),
        read(idOf(-1), bob),
      ]),
    );
  });

  test("has no receipt on what it does not show, until the timeline grows", async () => {
    await inRoom(receipt(idOf(0), bob.userId));
    const first = await ask();
    expect(first.receipts).toBeUndefined();
    expect((await ask({ pos: first.pos }, 10)).receipts).toEqual([read(idOf(0), bob)]);
  });
});

describe("later answers", () => {
  test("have what changed, once", async () => {
    let { pos } = await ask();
    await inRoom(receipt(idOf(0), bob.userId));
    await inRoom(receipt("$unknown", bob.userId, "m.read", "main"));
    await inRoom(accountData("m.fully_read", { event_id: idOf(0) }));
    await inRoom(typing(bob.userId, alice.userId));
    await world.stored.store(alice, {}, { accountData: [{ type: "m.push_rules", content: {} }] });
    await world.caughtUp();
    const changed = await ask({ pos });
    expect(changed).toMatchObject({
      ...{ global: ["m.push_rules"], data: ["m.fully_read"], typing: [alice.userId, bob.userId].sort() },
      receipts: expect.arrayContaining([read(idOf(0), bob), read("$unknown", bob, "m.read", "main")]),
    });
    ({ pos } = changed);
    const nothing = { global: [], data: undefined, receipts: undefined, typing: undefined };
    expect(await ask({ pos })).toMatchObject(nothing);
    await inRoom(typing());
    expect(await ask({ pos })).toMatchObject({ ...nothing, typing: [] });
  });

  test("have receipts that came while the extension was off, also after a restart", async () => {
    const first = await ask();
    await inRoom(receipt(idOf(0), bob.userId));
    const off = await ask({ pos: first.pos, extensions: {} });
    expect(off.receipts).toBeUndefined();
    await world.restart();
    expect((await ask({ pos: off.pos })).receipts).toEqual([read(idOf(0), bob)]);
  });

  test("lose nothing when the process restarts between what was stored and what is asked", async () => {
    const first = await ask();
    await inRoom(receipt(idOf(0), bob.userId));
    await inRoom(accountData("m.marked_unread", { unread: true }));
    await inRoom(typing(bob.userId));
    await world.stored.store(alice, {}, { accountData: [{ type: "m.direct", content: {} }] });
    await world.restart();
    const answer = await ask({ pos: first.pos });
    expect(answer).toMatchObject({ global: ["m.direct"], data: ["m.marked_unread"], typing: [bob.userId] });
    expect(answer.receipts).toEqual([read(idOf(0), bob)]);
  });

  test("write nothing when a room that is asked for has news", async () => {
    const { pos } = await ask();
    const confirmed = await ask({ pos });
    const count = async () => (await db.query({ text: "SELECT FROM connection_deltas" })).length;
    const before = await count();
    await inRoom(receipt(idOf(0), bob.userId));
    await inRoom(typing(bob.userId));
    expect((await ask({ pos: confirmed.pos })).receipts).toHaveLength(1);
    expect(await count()).toBe(before);
  });
});

describe("a long poll", () => {
  test.each([
    ["a receipt", () => inRoom(receipt(idOf(0), bob.userId))],
    ["who types", () => inRoom(typing(bob.userId))],
    ["account data of a room", () => inRoom(accountData("m.marked_unread", {}))],
    ["global account data", () => world.stored.store(alice, {}, { accountData: [{ type: "m.direct", content: {} }] })],
  ])("is ended by %s", async (_what, change) => {
    const { pos } = await ask();
    const waiting = ask({ pos, timeoutMs: LONG_MS });
    await world.waiting();
    await change();
    await world.caughtUp();
    const { data, global, receipts, typing: types } = await waiting;
    expect([data, receipts, types, global?.at(0)].filter((each) => each !== undefined)).toHaveLength(1);
  });

  test("is not ended by what nobody asked for", async () => {
    const { pos } = await ask();
    const none: ExtensionScope = { lists: new Set(), rooms: new Set() };
    const extensions = { receipts: none, typing: EVERYTHING };
    const waiting = ask({ pos, timeoutMs: NOTHING_COMES_MS, extensions });
    await world.waiting();
    await inRoom(receipt(idOf(0), bob.userId));
    await inRoom(receipt(idOf(0), bob.userId, "m.read.private"), bob);
    await inRoom(accountData("m.marked_unread", {}));
    expect(await waiting).toMatchObject({ receipts: undefined, data: undefined, typing: undefined });
  });
});

describe("typing of which no end is heard", () => {
  const silence = () => db.query({ text: "UPDATE typing SET heard_at = heard_at - interval '50 seconds'" });

  test("is none for who asks later", async () => {
    await inRoom(typing(bob.userId));
    await silence();
    expect((await ask()).typing).toBeUndefined();
  });

  test("is ended for who waits", async () => {
    await inRoom(typing(bob.userId));
    const first = await ask();
    expect(first.typing).toEqual([bob.userId]);
    const waiting = ask({ pos: first.pos, timeoutMs: LONG_MS });
    await world.waiting();
    await silence();
    const positions: number[] = [];
    const errors: Error[] = [];
    const deps = { db, onPosition: (at: number) => positions.push(at), onError: (error: Error) => errors.push(error) };
    const ending = new SilentTyping({ ...deps, everyMs: 10 });
    ending.start();
    await until(() => positions.length > 0);
    await world.caughtUp();
    expect((await waiting).typing).toEqual([]);
    await ending.stop();
    expect([positions.length, errors]).toEqual([1, []]);
    // It is ended once, and begins when somebody is heard again.
    expect(await endTyping(db)).toBeUndefined();
    await inRoom(typing(bob.userId));
    expect((await ask()).typing).toEqual([bob.userId]);
  });
});
