import { once } from "node:events";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { openDatabase } from "../../src/store/database.ts";
import { DatabaseUnavailableError, DataError } from "../../src/store/database-errors.ts";
import { SESSION_LOCK_CLASS } from "../../src/store/session-lock.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
  await db.query({ text: "CREATE TABLE notes (id integer PRIMARY KEY, text text NOT NULL)" });
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const pidOf = async (tx: { query: TestDatabase["query"] }) => {
  const [row] = await tx.query<{ pid: number }>({ text: "SELECT pg_backend_pid() AS pid" });
  return row!.pid;
};

const terminate = async (pid: number) => {
  await db.query({ text: "SELECT pg_terminate_backend($1)", values: [pid] });
};

/** Waits until the condition holds in the database. */
async function until(text: string, values: unknown[] = []): Promise<void> {
  for (;;) {
    const [row] = await db.query<{ holds: boolean }>({ text: `SELECT (${text}) AS holds`, values });
    if (row?.holds === true) return;
  }
}

const notes = async () =>
  (await db.query<{ id: number }>({ text: "SELECT id FROM notes ORDER BY id" })).map(({ id }) => id);

const insert = (id: number) => ({ text: "INSERT INTO notes VALUES ($1, 'x')", values: [id] });

test("a bigint is a number, alone and in arrays", async () => {
  const text =
    "SELECT 9007199254740991::bigint AS a, '{1,NULL,-3}'::bigint[] AS b, '{}'::bigint[] AS c, NULL::bigint AS d";
  expect(await db.query({ text })).toEqual([{ a: 9007199254740991, b: [1, null, -3], c: [], d: null }]);
});

test("a bigint that a number cannot hold is an error", async () => {
  await expect(db.query({ text: "SELECT 9007199254740992::bigint" })).rejects.toThrow(
    "safe integers, got 9007199254740992",
  );
  expect(await db.query({ text: "SELECT 1 AS one" })).toEqual([{ one: 1 }]);
});

test("bytes are a Buffer and a time is a Date", async () => {
  const bytes = Buffer.from([0, 1, 255, 92]);
  const [row] = await db.query<{ bytes: Buffer; at: Date }>({
    text: "SELECT $1::bytea AS bytes, '2026-01-02T03:04:05.678Z'::timestamptz AS at",
    values: [bytes],
  });
  expect(row?.bytes.equals(bytes)).toBe(true);
  expect(row?.at.toISOString()).toBe("2026-01-02T03:04:05.678Z");
});

test("a prepared statement gives the rows of each set of values", async () => {
  const query = (value: number) =>
    db.query({ name: "twice", text: "SELECT $1::integer * 2 AS twice", values: [value] });
  expect(await Promise.all([1, 2, 3].map(query))).toEqual([[{ twice: 2 }], [{ twice: 4 }], [{ twice: 6 }]]);
});

test("a transaction is stored whole when its work ends well, and not at all when it fails", async () => {
  await db.query({ text: "TRUNCATE notes" });
  expect(
    await db.transaction(async (tx) => {
      await tx.query(insert(1));
      await tx.query(insert(2));
      return "done";
    }),
  ).toBe("done");
  const failing = db.transaction(async (tx) => {
    await tx.query(insert(3));
    throw new RangeError("no");
  });
  await expect(failing).rejects.toThrow(RangeError);
  expect(await notes()).toEqual([1, 2]);
});

test("a transaction whose failed statement was overlooked is not reported as stored", async () => {
  const work = db.transaction(async (tx) => {
    await tx.query(insert(10));
    await tx.query({ text: "SELECT 1 / 0" }).catch(() => {});
  });
  await expect(work).rejects.toThrow("a transaction in which a statement failed is not committed");
  expect(await notes()).not.toContain(10);
});

test("a write whose last statements go with its commit is stored whole, or not at all and says what failed", async () => {
  await db.query({ text: "TRUNCATE notes" });
  const two = (a: number, b: number, c: number) =>
    db.write(async (tx) => ({ last: Promise.all([a, b, c].map((id) => tx.query(insert(id)))) }), { lane: "live" });
  await two(1, 2, 3);
  await expect(two(4, 1, 5)).rejects.toMatchObject({ name: "DataError", code: "23505" });
  expect(await notes()).toEqual([1, 2, 3]);
});

test("a transaction cannot be used after its end", async () => {
  const query = await db.transaction(async (tx) => () => tx.query({ text: "SELECT 1" }));
  await expect(query()).rejects.toThrow("a transaction is not used after its end");
});

test("a transaction gives its connection back in order, whatever became of it", async () => {
  const failing = () => db.transaction(async (tx) => void (await tx.query({ text: "SELECT 1 / 0" })), { lane: "live" });
  for (let round = 0; round < 10; round++) await expect(failing()).rejects.toThrow(DataError);
  await db.transaction(
    async (tx) => {
      expect(await tx.query({ text: "SELECT now() = statement_timestamp() AS is_first" })).toHaveLength(1);
    },
    { lane: "live" },
  );
});

test("values that the database refuses are a DataError, which says what they broke", async () => {
  await db.query({ text: "TRUNCATE notes" });
  await db.query(insert(1));
  const failure = await db.query(insert(1)).catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(DataError);
  expect(failure).toMatchObject({ code: "23505", constraint: "notes_pkey" });
  await expect(db.query({ text: "SELECT $1::jsonb", values: ['{"a":"\\u0000"}'] })).rejects.toBeInstanceOf(DataError);
});

test("wrong SQL is neither a DataError nor an outage", async () => {
  const failure = await db.query({ text: "SELEKT" }).catch((error: unknown) => error);
  expect(failure).not.toBeInstanceOf(DataError);
  expect(failure).not.toBeInstanceOf(DatabaseUnavailableError);
  expect(failure).toMatchObject({ code: "42601" });
});

test("a database that cannot be reached is an outage", async () => {
  await using nowhere = openDatabase({
    url: "postgresql://a@localhost/b?host=/nowhere",
    poolSize: 3,
    onError: () => {},
  });
  await expect(nowhere.query({ text: "SELECT 1" })).rejects.toBeInstanceOf(DatabaseUnavailableError);
  await expect(nowhere.transaction(async () => {})).rejects.toBeInstanceOf(DatabaseUnavailableError);
  await expect(
    nowhere.listen(
      "news",
      () => {},
      () => {},
    ),
  ).rejects.toBeInstanceOf(DatabaseUnavailableError);
  await expect(nowhere.holdSessionLock(1)).rejects.toBeInstanceOf(DatabaseUnavailableError);
});

test("a connection lost in a transaction is an outage that stored nothing, and the next transaction works", async () => {
  const work = db.transaction(async (tx) => {
    await tx.query(insert(20));
    await terminate(await pidOf(tx));
    await tx.query(insert(21));
  });
  const failure = await work.catch((error: unknown) => error);
  expect(failure).toBeInstanceOf(DatabaseUnavailableError);
  expect(failure).toMatchObject({ mayHaveCommitted: false });
  await db.transaction(async (tx) => void (await tx.query(insert(22))));
  expect(await notes()).toEqual(expect.arrayContaining([22]));
  expect(await notes()).not.toContain(20);
});

test("a connection lost before COMMIT leaves open whether the transaction was stored", async () => {
  const work = db.transaction(async (tx) => {
    await terminate(await pidOf(tx));
  });
  await expect(work).rejects.toMatchObject({ name: "DatabaseUnavailableError", mayHaveCommitted: true });
});

test("the loss of an idle connection is told and ends nothing", async () => {
  const told = Promise.withResolvers<Error>();
  await using own = openDatabase({ url: db.url, poolSize: 3, onError: told.resolve });
  await terminate(await pidOf(own));
  expect((await told.promise).message).toContain("terminating connection");
  expect(await own.query({ text: "SELECT 1 AS one" })).toEqual([{ one: 1 }]);
});

test("of two transactions in a deadlock both are stored in the end", async () => {
  await db.query({ text: "TRUNCATE notes" });
  await db.query({ text: "INSERT INTO notes VALUES (1, ''), (2, '')" });
  const append = (id: number, text: string) => ({
    text: "UPDATE notes SET text = text || $2 WHERE id = $1",
    values: [id, text],
  });
  const gate = Promise.withResolvers<void>();
  let waiting = 0;
  let runs = 0;
  const both = async (first: number, second: number, text: string) =>
    await db.transaction(async (tx) => {
      runs++;
      await tx.query(append(first, text));
      waiting++;
      if (waiting === 2) gate.resolve();
      await gate.promise;
      await tx.query(append(second, text));
    });
  await Promise.all([both(1, 2, "a"), both(2, 1, "a")]);
  expect(runs).toBe(3);
  expect(await db.query({ text: "SELECT text FROM notes" })).toEqual([{ text: "aa" }, { text: "aa" }]);
});

test("a transaction that loses each time is run four times and is an outage then", async () => {
  let runs = 0;
  const work = db.transaction(async (tx) => {
    runs++;
    await tx.query({ text: "DO $$ BEGIN RAISE EXCEPTION SQLSTATE '40001'; END $$" });
  });
  await expect(work).rejects.toBeInstanceOf(DatabaseUnavailableError);
  expect(runs).toBe(4);
});

test("a snapshot does not see what others store meanwhile, and stores nothing", async () => {
  await db.query({ text: "TRUNCATE notes" });
  await db.transaction(
    async (tx) => {
      const count = async () => (await tx.query({ text: "SELECT id FROM notes" })).length;
      expect(await count()).toBe(0);
      await db.query(insert(1));
      expect(await count()).toBe(0);
    },
    { snapshot: true },
  );
  const writing = db.transaction(async (tx) => void (await tx.query(insert(2))), { snapshot: true });
  await expect(writing).rejects.toThrow("read-only");
});

test("what a transaction did is on disk before anybody sees it, in either lane", async () => {
  const url = new URL(db.url);
  url.searchParams.set("options", "-c synchronous_commit=on");
  await using own = openDatabase({
    url: url.href,
    poolSize: 3,
    onError: () => {},
  });
  for (const lane of ["live", "bulk"] as const) {
    const setting = await own.transaction(async (tx) => await tx.query({ text: "SHOW synchronous_commit" }), { lane });
    expect(setting).toEqual([{ synchronous_commit: "on" }]);
  }
});

test("bulk that holds all its connections does not hold up live traffic and reads", async () => {
  await using own = openDatabase({ url: db.url, poolSize: 3, onError: () => {} });
  const gate = Promise.withResolvers<void>();
  const bulk = [1, 2, 3, 4].map(() => own.transaction(async () => await gate.promise, { lane: "bulk" }));
  expect(
    await own.transaction(async (tx) => await tx.query({ text: "SELECT 1 AS one" }), { lane: "live" }),
  ).toHaveLength(1);
  expect(await own.query({ text: "SELECT 1 AS one" })).toHaveLength(1);
  gate.resolve();
  await Promise.all(bulk);
});

test("a listener hears what is sent to its channel only", async () => {
  const heard: string[] = [];
  const last = Promise.withResolvers<void>();
  let connects = 0;
  await using _listener = await db.listen(
    "news",
    (payload) => {
      heard.push(payload);
      if (payload === "2") last.resolve();
    },
    () => connects++,
  );
  expect(connects).toBe(1);
  await db.notify("other", "0");
  await db.notify("news", "1");
  await db.notify("news", "2");
  await last.promise;
  expect(heard).toEqual(["1", "2"]);
});

test("a listener whose connection is lost connects again, says so, and hears again", async () => {
  const reconnected = Promise.withResolvers<void>();
  const heard = Promise.withResolvers<string>();
  let connects = 0;
  const onReconnect = () => {
    if (++connects === 2) reconnected.resolve();
  };
  await using _listener = await db.listen("evening_news", heard.resolve, onReconnect);
  const listening = "SELECT pid FROM pg_stat_activity WHERE query = 'LISTEN evening_news'";
  await db.query({ text: `SELECT pg_terminate_backend(pid) FROM (${listening}) AS l` });
  await reconnected.promise;
  await db.notify("evening_news", "again");
  expect(await heard.promise).toBe("again");
});

test("a listener that was stopped leaves no connection", async () => {
  const listener = await db.listen(
    "late_news",
    () => {},
    () => {},
  );
  await listener[Symbol.asyncDispose]();
  await until("NOT EXISTS (SELECT FROM pg_stat_activity WHERE query = 'LISTEN late_news')");
});

const isLocked = `EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = ${SESSION_LOCK_CLASS} AND objid = $1 AND granted)`;
const isWaitedFor = isLocked.replace("AND granted", "AND NOT granted");

test("a session lock belongs to one holder at a time; the next gets it when the first gives it back", async () => {
  const first = await db.holdSessionLock(7);
  const second = db.holdSessionLock(7);
  await until(isWaitedFor, [7]);
  await using _other = await db.holdSessionLock(8);
  expect(first.lost.aborted).toBe(false);
  await first[Symbol.asyncDispose]();
  await using held = await second;
  expect(held.lost.aborted).toBe(false);
  expect(first.lost.aborted).toBe(true);
});

test("the loss of a session lock is told", async () => {
  await using lock = await db.holdSessionLock(9);
  const holder = "SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND objid = 9";
  const told = once(lock.lost, "abort");
  await db.query({ text: `SELECT pg_terminate_backend(pid) FROM (${holder}) AS l` });
  await told;
  await until(`NOT ${isLocked}`, [9]);
});

test("a database is closed once, however often that is asked", async () => {
  const own = openDatabase({ url: db.url, poolSize: 3, onError: () => {} });
  await own.query({ text: "SELECT 1" });
  await Promise.all([own[Symbol.asyncDispose](), own[Symbol.asyncDispose]()]);
  await expect(own.query({ text: "SELECT 1" })).rejects.toThrow("after calling end");
});
