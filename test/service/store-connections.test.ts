// What a connection was told goes with it, whoever removes it and whatever is being stored meanwhile.
import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import {
  confirmAndInsert,
  confirmPosition,
  expireConnections,
  insertChild,
  insertConnection,
  rebaseConnection,
} from "../../src/store/connections.ts";
import type { Queryable, Tx } from "../../src/store/database.ts";
import { newKey } from "../support/connection-key.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/until.ts";

const DAY_MS = 24 * 60 * 60_000;
const SOMETHING = Buffer.from("something");

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

let issued = 0;
/** A new connection with its first answer. What it is told has the positions after its number, in order. */
async function begun(key = newKey(), queryable: Queryable = db): Promise<number> {
  issued += 10;
  const connection = issued;
  const first = { connection, base: SOMETHING, position: connection + 1, delta: SOMETHING };
  expect(await insertConnection(queryable, key, first)).toBe(true);
  return connection;
}

/** One whose client has its first answer, and was given a second one. */
async function used(): Promise<number> {
  const key = newKey();
  const connection = await begun(key);
  expect(await confirmPosition(db, key, connection, connection + 1)).toBe(0);
  const second = { parent: connection + 1, position: connection + 2, delta: SOMETHING };
  expect(await insertChild(db, connection, second)).toBe(true);
  return connection;
}

type Store = (queryable: Queryable, connection: number) => Promise<boolean>;

/** The second answer once more, as to a client that did not get it. */
const storeSecond: Store = (queryable, connection) =>
  insertChild(queryable, connection, { parent: connection + 1, position: connection + 3, delta: SOMETHING });

/** The third answer, to a client that has the second one. */
const storeThird: Store = (queryable, connection) =>
  confirmAndInsert(queryable, connection, {
    before: connection + 1,
    parent: connection + 2,
    position: connection + 3,
    delta: SOMETHING,
  });

const ANSWERS: [string, Store][] = [
  ["an answer", storeSecond],
  ["an answer that confirms the one before", storeThird],
];

const remove = (queryable: Queryable, connection: number) =>
  queryable.query({ text: "DELETE FROM connections WHERE connection = $1", values: [connection] });

async function unusedForDays(connection: number, days: number): Promise<void> {
  const text = "UPDATE connections SET used_at = now() - $2 * interval '1 day' WHERE connection = $1";
  await db.query({ text, values: [connection, days] });
}

/** Which of the connections are there, and of which there is something that they were told. */
async function stored(...connections: readonly number[]) {
  const select = async (table: string) => {
    const text = `SELECT DISTINCT connection FROM ${table} WHERE connection = ANY ($1) ORDER BY 1`;
    const rows = await db.query<{ connection: number }>({ text, values: [connections] });
    return rows.map(({ connection }) => connection);
  };
  return { connections: await select("connections"), told: await select("connection_deltas") };
}

/** Does the first, and begins the second: once that waits, or is over without having waited, the first is committed. */
async function meeting<First, Second>(
  first: (tx: Tx) => Promise<First>,
  second: () => Promise<Second>,
): Promise<[First, Second]> {
  const { promise: isDone, resolve: onDone } = Promise.withResolvers<void>();
  const { promise: mayCommit, resolve: commit } = Promise.withResolvers<void>();
  const before = db.transaction(async (tx) => {
    const result = await first(tx);
    onDone();
    await mayCommit;
    return result;
  });
  await isDone;
  let isOver = false;
  const after = second().finally(() => {
    isOver = true;
  });
  const text = "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
  await until(async () => isOver || (await db.query({ text })).length > 0);
  commit();
  return await Promise.all([before, after]);
}

describe("what a connection was told", () => {
  test("goes when it was not used for long, as all that were not, and no other's does", async () => {
    const [one, another, fresh] = [await used(), await used(), await used()];
    for (const connection of [one, another]) await unusedForDays(connection, 2);
    await expireConnections(db, DAY_MS);
    expect(await stored(one, another, fresh)).toEqual({ connections: [fresh], told: [fresh] });
  });

  test("goes when another one of its key is used, not before", async () => {
    const key = newKey();
    const all = [await begun(key), await begun(key), await begun(key)] as const;
    expect(await stored(...all)).toEqual({ connections: all, told: all });
    expect(await confirmPosition(db, key, all[1], all[1] + 1)).toBe(0);
    expect(await stored(...all)).toEqual({ connections: [all[1]], told: [all[1]] });
  });

  test("goes when its device has too many, with the statement that stores what the new one was told", async () => {
    const key = newKey();
    const all: number[] = [];
    for (let n = 0; n < 21; n++) {
      const connection = await begun({ ...key, connId: String(n) });
      await unusedForDays(connection, 21 - n);
      all.push(connection);
    }
    expect(await stored(...all)).toEqual({ connections: all.slice(1), told: all.slice(1) });
  });
});

describe("nobody waits for the disk", () => {
  const isWaiting = async (store: (tx: Tx) => Promise<unknown>): Promise<boolean> =>
    await db.transaction(async (tx) => {
      await tx.query({ text: "SET LOCAL synchronous_commit = on" });
      await store(tx);
      const [row] = await tx.query<{ setting: string }>({
        text: "SELECT current_setting('synchronous_commit') AS setting",
      });
      return row?.setting !== "off";
    });

  test.each([
    ["an answer is stored", (tx: Tx, connection: number) => storeSecond(tx, connection)],
    ["an answer is stored that confirms the one before", (tx: Tx, connection: number) => storeThird(tx, connection)],
    [
      "a new base is stored",
      (tx: Tx, connection: number) => rebaseConnection(tx, connection, { position: connection + 1, state: SOMETHING }),
    ],
  ])("where %s", async (_, store) => {
    const connection = await used();
    expect(await isWaiting((tx) => store(tx, connection))).toBe(false);
  });

  test("where a connection begins, and its first answer is used", async () => {
    const key = newKey();
    let connection = 0;
    const begin = async (tx: Tx) => {
      connection = await begun(key, tx);
    };
    expect(await isWaiting(begin)).toBe(false);
    expect(await isWaiting((tx) => confirmPosition(tx, key, connection, connection + 1))).toBe(false);
  });
});

describe("of a connection that is removed at the same time", () => {
  test.each(ANSWERS)("%s that is just being stored goes as well", async (_, store) => {
    const connection = await used();
    const [isStored] = await meeting(
      (tx) => store(tx, connection),
      () => remove(db, connection),
    );
    expect(isStored).toBe(true);
    expect(await stored(connection)).toEqual({ connections: [], told: [] });
  });

  test("an answer that is just being stored goes as well, where it was not used for long", async () => {
    const connection = await used();
    await unusedForDays(connection, 2);
    await meeting(
      (tx) => storeSecond(tx, connection),
      () => expireConnections(db, DAY_MS),
    );
    expect(await stored(connection)).toEqual({ connections: [], told: [] });
  });

  test.each(ANSWERS)("%s is not stored any more", async (_, store) => {
    const connection = await used();
    const [, isStored] = await meeting(
      (tx) => remove(tx, connection),
      () => store(db, connection),
    );
    expect(isStored).toBe(false);
    expect(await stored(connection)).toEqual({ connections: [], told: [] });
  });
});

test("a connection that is used while it is removed for not being used stays, with all that it was told", async () => {
  const connection = await used();
  await unusedForDays(connection, 2);
  await meeting(
    (tx) => storeThird(tx, connection),
    () => expireConnections(db, DAY_MS),
  );
  expect(await stored(connection)).toEqual({ connections: [connection], told: [connection] });
});
