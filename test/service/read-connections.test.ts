import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { encodeDelta } from "../../src/engine/connection/delta.ts";
import type { ConnectionDelta } from "../../src/engine/connection/state.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { DeviceId, RoomNid, UserNid } from "../../src/model/ids.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { type ConnectionKey, expireConnections, insertChild } from "../../src/store/connections.ts";
import { Connections } from "../../src/sync/connections.ts";
import { newKey } from "../support/connection-key.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { config } from "../support/engine.ts";
import { watched } from "../support/watched-database.ts";

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

/** Tells of rooms that the client has them up to a position. */
const told = (...rooms: readonly number[]): ConnectionDelta => ({
  rooms: new Map(
    rooms.map((room) => [room as RoomNid, { upTo: room as StreamPosition, as: "joined", config: config(1) }]),
  ),
  sentMembers: new Map(),
  staleMembers: new Map(),
  subscriptions: undefined,
  streams: new Map(),
  accountData: undefined,
});

const NOTHING = told();

/** One process. */
class Client {
  connections = new Connections(db, systemClock);
  readonly key: ConnectionKey;

  constructor(key = newKey()) {
    this.key = key;
  }

  /** Everything that was in memory is gone. */
  restart(): void {
    this.connections = new Connections(db, systemClock);
  }

  async begin(...rooms: readonly number[]): Promise<Standing> {
    return (await this.connections.save(this.key, this.connections.start(), told(...rooms)))!;
  }

  open({ connection, position }: Standing) {
    return this.connections.open(this.key, connection, position);
  }

  /** The answer to a request that presents `from`. */
  async answer(from: Standing, ...rooms: readonly number[]): Promise<Standing> {
    return (await this.connections.save(this.key, (await this.open(from))!, told(...rooms)))!;
  }

  /** What a request that presents `at`, and is answered with nothing new, goes on from; undefined: it is refused. */
  async rooms(at: Standing): Promise<readonly number[] | undefined> {
    const open = await this.open(at);
    const stands = open && (await this.connections.save(this.key, open, NOTHING));
    return stands && [...open.state.rooms.keys()].sort((a, b) => a - b);
  }
}

interface Standing {
  readonly connection: number;
  readonly position: number;
}

const rowsOf = async ({ connection }: Standing) =>
  await db.query({ text: "SELECT xmin, ctid, * FROM connections WHERE connection = $1", values: [connection] });

const deltasOf = async ({ connection }: Standing) =>
  await db.query<{ position: number; parent: number }>({
    text: "SELECT position, parent FROM connection_deltas WHERE connection = $1 ORDER BY position",
    values: [connection],
  });

test("a client goes on from where its last answer left it", async () => {
  const client = new Client();
  const first = await client.begin(1);
  expect(await client.rooms(first)).toEqual([1]);
  const second = await client.answer(first, 2);
  expect(await client.rooms(second)).toEqual([1, 2]);
  const third = await client.answer(second, 3);
  expect(await client.rooms(third)).toEqual([1, 2, 3]);
});

test("after a restart, or on another process, a client goes on with the same pos", async () => {
  const client = new Client();
  const first = await client.begin(1);
  client.restart();
  const second = await client.answer(first, 2);
  client.restart();
  const third = await client.answer(second, 3);
  client.restart();
  expect(await client.rooms(third)).toEqual([1, 2, 3]);
});

test("an answer that was lost is computed again from the same state, whatever the body", async () => {
  const client = new Client();
  const first = await client.begin(1);
  await client.answer(first, 2);
  expect(await client.rooms(first)).toEqual([1]);
  const other = await client.answer(first, 3);
  expect(await client.rooms(other)).toEqual([1, 3]);
});

test.each([
  ["with"],
  ["without"],
])("using an answer ends the one before and its siblings, %s memory", async (memory) => {
  const client = new Client();
  const first = await client.begin(1);
  const lost = await client.answer(first, 2);
  const used = await client.answer(first, 3);
  if (memory === "without") client.restart();
  expect(await client.rooms(used)).toEqual([1, 3]);
  expect(await client.rooms(lost)).toBeUndefined();
  expect(await client.rooms(first)).toBeUndefined();
  expect(await client.rooms(used)).toEqual([1, 3]);
});

test("of more than eight answers to one position the newest eight can be used", async () => {
  const client = new Client();
  const first = await client.begin(1);
  const answers: Standing[] = [];
  for (let room = 2; room <= 10; room++) answers.push(await client.answer(first, room));
  expect(await client.rooms(answers[0]!)).toBeUndefined();
  expect(await client.rooms(answers[1]!)).toEqual([1, 3]);
});

test("an answer that nobody remembers tells nothing and stores nothing", async () => {
  const client = new Client();
  expect(await client.connections.save(client.key, client.connections.start(), NOTHING)).toEqual({
    connection: 0,
    position: 0,
  });
  const first = await client.begin(1);
  const open = (await client.open(first))!;
  const before = await deltasOf(first);
  expect(await client.connections.save(client.key, open, NOTHING)).toEqual(first);
  expect(await deltasOf(first)).toEqual(before);
});

test("a connection without anything told is opened by anybody and holds nothing", async () => {
  const open = await new Client().open({ connection: 0, position: 0 });
  expect(open?.state.rooms.size).toBe(0);
});

test("a request that presents what is confirmed writes nothing", async () => {
  const client = new Client();
  const first = await client.begin(1);
  await client.open(first);
  const before = await rowsOf(first);
  await client.open(first);
  client.restart();
  await client.open(first);
  expect(await rowsOf(first)).toEqual(before);
});

test("the old connection of a key goes when the new one is used, not before", async () => {
  const client = new Client();
  const old = await client.begin(1);
  expect(await client.rooms(old)).toEqual([1]);
  const fresh = await client.begin(2);
  expect(await client.rooms(old)).toEqual([1]);
  expect(await client.rooms(fresh)).toEqual([2]);
  expect(await client.rooms(old)).toBeUndefined();
  expect(await rowsOf(old)).toEqual([]);
});

test("connections with another conn_id live on", async () => {
  const client = new Client();
  const other = new Client({ ...client.key, connId: "other" });
  const theirs = await other.begin(5);
  expect(await other.rooms(theirs)).toEqual([5]);
  expect(await client.rooms(await client.begin(1))).toEqual([1]);
  expect(await other.rooms(theirs)).toEqual([5]);
});

test("of more than eight first answers the newest eight can be used", async () => {
  const client = new Client();
  const roots: Standing[] = [];
  for (let room = 1; room <= 9; room++) roots.push(await client.begin(room));
  expect(await client.rooms(roots[0]!)).toBeUndefined();
  expect(await client.rooms(roots[1]!)).toEqual([2]);
});

test("a device keeps twenty connections; the least recently used go", async () => {
  const { deviceId, userNid } = newKey();
  const clients = Array.from({ length: 22 }, (_, index) => new Client({ userNid, deviceId, connId: `c${index}` }));
  const standing: Standing[] = [];
  for (const [index, client] of clients.entries()) {
    standing.push(await client.begin(index + 1));
    // What is stored in one moment is not ordered; the first stays in use all the time.
    await db.query({
      text: `UPDATE connections SET used_at = used_at - interval '1 hour'
              WHERE device_id = $1 AND connection <> $2`,
      values: [deviceId, standing[0]!.connection],
    });
  }
  const alive = await Promise.all(clients.map((client, index) => client.rooms(standing[index]!)));
  expect(alive.map((rooms) => rooms !== undefined)).toEqual(clients.map((_, index) => index !== 1 && index !== 2));
});

test.each([
  ["user", { userNid: 2 as UserNid }],
  ["device", { deviceId: "OTHER" as DeviceId }],
  ["conn_id", { connId: "other" }],
])("a position is of no use to another %s", async (_what, other) => {
  const client = new Client();
  const first = await client.begin(1);
  expect(await new Client({ ...client.key, ...other }).open(first)).toBeUndefined();
  expect(await client.rooms(first)).toEqual([1]);
});

test("a position that was never given cannot be honoured", async () => {
  const client = new Client();
  const first = await client.begin(1);
  expect(await client.open({ ...first, position: first.position + 1 })).toBeUndefined();
  expect(await client.open({ ...first, connection: first.connection + 1 })).toBeUndefined();
});

test("an answer to a position that was left behind meanwhile is not stored", async () => {
  const client = new Client();
  const first = await client.begin(1);
  const slow = (await client.open(first))!;
  const next = await client.answer(first, 2);
  expect(await client.rooms(next)).toEqual([1, 2]);
  expect(await client.connections.save(client.key, slow, told(3))).toBeUndefined();
  expect(await client.rooms(next)).toEqual([1, 2]);
});

async function somebodyWaits(): Promise<void> {
  const waiting = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  while ((await db.query({ text: waiting })).length === 0);
}

test("an answer that another process stores while the next position is confirmed tells nothing", async () => {
  const client = new Client();
  const second = await client.answer(await client.begin(1), 2);
  const third = await client.answer(second, 3);
  const { promise: isStoring, resolve: onStoring } = Promise.withResolvers<void>();
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const storing = db.transaction(async (tx) => {
    const child = { parent: second.position, position: third.position + 1, delta: encodeDelta(told(9)) };
    expect(await insertChild(tx, second.connection, child)).toBe(true);
    onStoring();
    await mayCommit;
  });
  await isStoring;
  const answering = client.answer(third, 4);
  await somebodyWaits();
  commit();
  await storing;
  const fourth = await answering;
  client.restart();
  expect(await client.rooms(fourth)).toEqual([1, 2, 3, 4]);
});

test("an answer that is stored while another process confirms the next position is not stored", async () => {
  const client = new Client();
  const first = await client.begin(1);
  const next = await client.answer(first, 2);
  const slow = (await client.open(first))!;
  const { promise: isConfirming, resolve: onConfirming } = Promise.withResolvers<void>();
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const confirming = db.transaction(async (tx) => {
    const { userNid, deviceId, connId } = client.key;
    const values = [next.connection, userNid, deviceId, connId, next.position];
    await tx.query({ text: "SELECT use_connection($1, $2, $3, $4, $5)", values });
    onConfirming();
    await mayCommit;
  });
  await isConfirming;
  const saving = client.connections.save(client.key, slow, told(3));
  await somebodyWaits();
  commit();
  await confirming;
  expect(await saving).toBeUndefined();
  client.restart();
  expect(await client.rooms(await client.answer(next, 4))).toEqual([1, 2, 4]);
});

test.each([
  ["", 0],
  [", each after one that was lost,", 1],
])("many small answers%s are folded into the base, and the state stays the same", async (_, lost) => {
  const client = new Client();
  let standing = await client.begin(1);
  const rooms = (from: number) => Array.from({ length: 200 }, (_, index) => from + index);
  let most = 0;
  for (let round = 1; round <= 40; round++) {
    for (let n = 0; n < lost; n++) await client.answer(standing, ...rooms(round * 2000));
    standing = await client.answer(standing, ...rooms(round * 1000));
    most = Math.max(most, (await deltasOf(standing)).length);
  }
  const expected = [1, ...Array.from({ length: 40 }, (_, index) => rooms((index + 1) * 1000)).flat()];
  expect(await client.rooms(standing)).toEqual(expected);
  client.restart();
  expect(await client.rooms(standing)).toEqual(expected);
  expect(most).toBeLessThan(30 * (1 + lost));
});

test("two processes that draw the same number get connections of their own", async () => {
  const clock = { nowMs: () => 4_000_000_000_000 };
  const [one, other] = [newKey(), newKey()];
  const saved = await Promise.all(
    [one, other].map((key) => {
      const connections = new Connections(db, clock);
      return connections.save(key, connections.start(), told(1));
    }),
  );
  expect(saved[0]!.connection).not.toBe(saved[1]!.connection);
});

test("connections that were not used for long go", async () => {
  const client = new Client();
  const [old, fresh] = [await client.begin(1), await new Client().begin(2)];
  await db.query({
    text: "UPDATE connections SET used_at = now() - interval '2 days' WHERE connection = $1",
    values: [old.connection],
  });
  await expireConnections(db, 24 * 60 * 60_000);
  expect(await rowsOf(old)).toEqual([]);
  expect(await deltasOf(old)).toEqual([]);
  expect(await rowsOf(fresh)).toHaveLength(1);
});

test("a connection that is used stays, however long ago it began", async () => {
  const client = new Client();
  const first = await client.begin(1);
  await client.open(first);
  await db.query({
    text: "UPDATE connections SET used_at = now() - interval '2 days' WHERE connection = $1",
    values: [first.connection],
  });
  await client.open(first);
  await expireConnections(db, 24 * 60 * 60_000);
  expect(await client.rooms(first)).toEqual([1]);
});

/** A client of a process whose clock stands, and that says what it asks of the database. */
function watchedClient(key = newKey()) {
  const seen = watched(db);
  const time = { nowMs: Date.now() };
  const client = new Client(key);
  client.connections = new Connections(seen, { nowMs: () => time.nowMs });
  return { client, asked: seen.asked, time };
}

test("who goes on from where they stood a moment ago asks nothing of the database; after a while they do", async () => {
  const { client, asked, time } = watchedClient();
  const first = await client.begin(1);
  await client.open(first);
  asked();
  expect(await client.rooms(first)).toEqual([1]);
  expect(await client.connections.save(client.key, (await client.open(first))!, NOTHING)).toEqual(first);
  expect(asked()).toEqual([]);
  time.nowMs += 60_000;
  expect(await client.rooms(first)).toEqual([1]);
  expect(asked()).toEqual(["use-connection"]);
});

test("a position that another process left behind leads to no news, and is refused from then on", async () => {
  const { client, asked } = watchedClient();
  const first = await client.begin(1);
  await client.open(first);
  const elsewhere = new Client(client.key);
  await elsewhere.rooms(await elsewhere.answer(first, 2));
  asked();
  const open = (await client.open(first))!;
  expect(asked()).toEqual([]);
  expect(await client.connections.save(client.key, open, told(3))).toBeUndefined();
  expect(await client.open(first)).toBeUndefined();
});

test("an answer is confirmed together with what the next one stores, in one statement", async () => {
  const { client, asked } = watchedClient();
  const first = await client.begin(1);
  const second = await client.answer(first, 2);
  asked();
  const third = await client.answer(second, 3);
  expect(asked()).toEqual(["confirm-and-insert"]);
  expect(await new Client(client.key).rooms(second)).toEqual([1, 2]);
  expect(await new Client(client.key).rooms(first)).toBeUndefined();
  expect(await client.rooms(third)).toEqual([1, 2, 3]);
});

test("an answer whose next request finds no news is confirmed by that", async () => {
  const { client, asked } = watchedClient();
  const second = await client.answer(await client.begin(1), 2);
  const third = await client.answer(second, 3);
  asked();
  expect(await client.rooms(third)).toEqual([1, 2, 3]);
  expect(asked()).toEqual(["use-connection"]);
  expect(await new Client(client.key).rooms(second)).toBeUndefined();
});

test("a request that is cancelled confirms nothing: its client may come again with it, here or elsewhere", async () => {
  const { client } = watchedClient();
  const second = await client.answer(await client.begin(1), 2);
  const third = await client.answer(second, 3);
  await client.open(third);
  const again = await client.answer(third, 4);
  await client.open(again);
  const elsewhere = new Client(client.key);
  expect(await elsewhere.rooms(await elsewhere.answer(again, 5))).toEqual([1, 2, 3, 4, 5]);
  expect(await client.rooms(third)).toBeUndefined();
});

test("of two answers of which neither was used, the one may be used though a cancelled request presented the other", async () => {
  const { client } = watchedClient();
  const second = await client.answer(await client.begin(1), 2);
  const one = await client.answer(second, 3);
  const other = await client.answer(second, 4);
  await client.open(one);
  expect(await client.rooms(await client.answer(other, 5))).toEqual([1, 2, 4, 5]);
  expect(await client.rooms(one)).toBeUndefined();
});

test("what another process confirmed meanwhile stands, when an answer would confirm it as well", async () => {
  const { client } = watchedClient();
  const second = await client.answer(await client.begin(1), 2);
  const third = await client.answer(second, 3);
  const open = (await client.open(third))!;
  expect(await new Client(client.key).rooms(third)).toEqual([1, 2, 3]);
  const next = (await client.connections.save(client.key, open, told(4)))!;
  expect(await client.rooms(next)).toEqual([1, 2, 3, 4]);
});

test("a position of a connection that another one displaced is refused at once", async () => {
  const { client } = watchedClient();
  const old = await client.begin(1);
  await client.open(old);
  await client.open(await client.begin(2));
  expect(await client.open(old)).toBeUndefined();
});
