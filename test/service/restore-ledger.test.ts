// The recipe of docs/loss-ledger.md for a dump of the ledger alone, with its list of tables; what pg_dump and pg_restore do is done by
// statements, since they must fit the server's version.
import { readFileSync } from "node:fs";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { dropCache, LEDGER_TABLES } from "../../src/store/cache.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { Robot } from "../support/homeserver/robot.ts";
import { type Homeserver, startHomeserver } from "../support/homeserver/start.ts";
import { startIntake, untilRow, want } from "../support/intake-run.ts";

const NAMED = [...readFileSync("docs/loss-ledger.md", "utf8").matchAll(/-t (\w+)/g)].map((match) => String(match[1]));
const SEQUENCE = "batch_ids";
const TABLES = NAMED.filter((name) => name !== SEQUENCE);

let db: TestDatabase;
let restored: TestDatabase;
let homeserver: Homeserver & AsyncDisposable;

beforeEach(async () => {
  [db, restored, homeserver] = await Promise.all([openTestDatabase(), openTestDatabase(), startHomeserver()]);
});

afterEach(async () => {
  await homeserver[Symbol.asyncDispose]();
  await db[Symbol.asyncDispose]();
  await restored[Symbol.asyncDispose]();
});

type Dump = ReadonlyMap<string, string>;

async function dump(): Promise<{ readonly tables: Dump; readonly batch: number }> {
  const tables = new Map<string, string>();
  for (const table of TABLES) {
    const [row] = await db.query<{ rows: unknown }>({
      text: `SELECT coalesce(json_agg(t), '[]') AS rows FROM ${table} AS t`,
    });
    tables.set(table, JSON.stringify(row!.rows));
  }
  const [row] = await db.query<{ batch: number }>({ text: `SELECT last_value AS batch FROM ${SEQUENCE}` });
  return { tables, batch: row!.batch };
}

async function restore({ tables, batch }: Awaited<ReturnType<typeof dump>>): Promise<void> {
  await restored.query({ text: "TRUNCATE stream_head, secret_canary" });
  for (const [table, rows] of tables) {
    const text = `INSERT INTO ${table} OVERRIDING SYSTEM VALUE SELECT * FROM json_populate_recordset(NULL::${table}, $1::json)`;
    await restored.query({ text, values: [rows] });
  }
  await restored.query({ text: "SELECT setval($1, $2)", values: [SEQUENCE, batch] });
  for (const [table, column] of [
    ["users", "user_nid"],
    ["devices", "device_nid"],
  ]) {
    const text = `SELECT setval(pg_get_serial_sequence('${table}', '${column}'), (SELECT max(${column}) FROM ${table}))`;
    await restored.query({ text });
  }
}

const inbox = async (database: TestDatabase) => {
  const rows = await database.query<{ sequence: number; body: Buffer }>({
    text: "SELECT sequence, body FROM to_device_messages ORDER BY sequence",
  });
  return rows.map(({ sequence, body }) => ({ sequence, n: JSON.parse(String(body)).content.n }));
};

/** Polls until everything up to now is stored and acknowledged. */
async function polled(database: TestDatabase, robot: Robot, messages: number): Promise<void> {
  await using _intake = await startIntake(database, homeserver.url);
  await want(database, robot);
  await untilRow(database, "SELECT FROM devices WHERE is_synced AND asks_anew IS NULL");
  await untilRow(database, "SELECT FROM to_device_messages HAVING count(*) >= $1", messages);
  await homeserver.control.untilPollsHeld(1, robot.userId);
}

const room = (database: TestDatabase) =>
  database.query({ text: "SELECT name, is_complete FROM rooms JOIN memberships USING (room)" });

test("the ledger that the page names is all of it", () => {
  const own = LEDGER_TABLES.filter((table) => table !== "schema_migrations");
  expect([...NAMED].sort()).toEqual([...own, "changes", SEQUENCE].sort());
});

test("an older ledger, with the cache read anew, has all but what was taken after it; numbers go on above those issued since", async () => {
  const [alice, bob] = [await homeserver.register("alice", "PHONE"), await homeserver.register("bob", "TABLET")];
  await alice.createRoom({ name: "kitchen" });
  const send = (n: number) => bob.sendToDevice(alice.userId, alice.deviceId, { n });
  await send(1);
  await polled(db, alice, 1);
  const backup = await dump();
  await send(2);
  await polled(db, alice, 2);
  const before = await inbox(db);
  const [head] = await db.query<{ position: number }>({ text: "SELECT position FROM stream_head" });
  await send(3);
  await restore(backup);
  await dropCache(restored);
  await polled(restored, alice, 2);
  const after = await inbox(restored);
  expect(after.map(({ n }) => n)).toEqual([1, 3]);
  expect(after[0]).toEqual(before[0]);
  expect(after[1]!.sequence).toBeGreaterThan(before[1]!.sequence);
  const [first] = await restored.query<{ position: number }>({
    text: "SELECT min(position) AS position FROM changes WHERE position > $1",
    values: [head!.position],
  });
  expect(first!.position).toBeGreaterThan(head!.position);
  expect(await room(restored)).toEqual(await room(db));
  expect(await room(restored)).toEqual([{ name: "kitchen", is_complete: true }]);
});
