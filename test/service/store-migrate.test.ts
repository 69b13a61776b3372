import { createHash } from "node:crypto";
import { expect, test } from "@jest/globals";
import { type Migration, migrate, pendingMigrations, readMigrations, SchemaError } from "../../src/store/migrate.ts";
import { openEmptyDatabase, openTestDatabase, type TestDatabase } from "../support/database.ts";

const first: Migration = {
  version: 1,
  name: "0001_notes.sql",
  sql: "CREATE TABLE notes (id integer); CREATE INDEX ON notes (id);",
};
const second: Migration = { version: 2, name: "0002_text.sql", sql: "ALTER TABLE notes ADD text text;" };
const broken: Migration = { version: 3, name: "0003_broken.sql", sql: "CREATE TABLE half (id integer); SELEKT;" };

async function tables(db: TestDatabase): Promise<string[]> {
  const rows = await db.query<{ name: string }>({
    text: "SELECT relname AS name FROM pg_class WHERE relnamespace = 'public'::regnamespace AND relkind = 'r' ORDER BY 1",
  });
  return rows.map(({ name }) => name);
}

async function refusal(work: Promise<unknown>): Promise<string> {
  const error = await work.catch((reason: unknown) => reason);
  expect(error).toBeInstanceOf(SchemaError);
  return (error as SchemaError).message;
}

test("the schema of this program is numbered from 1 without a hole and makes an empty database ready", async () => {
  const migrations = await readMigrations();
  expect(migrations.map(({ version }) => version)).toEqual(migrations.map((_, index) => index + 1));
  await using db = await openEmptyDatabase();
  expect((await pendingMigrations(db)).map(({ name }) => name)).toEqual(migrations.map(({ name }) => name));
  expect(await migrate(db)).toEqual({ from: 0, to: migrations.length });
  expect(await pendingMigrations(db)).toEqual([]);
  expect(await migrate(db)).toEqual({ from: migrations.length, to: migrations.length });
});

test("only what is missing is run", async () => {
  await using db = await openEmptyDatabase();
  expect(await migrate(db, [first])).toEqual({ from: 0, to: 1 });
  expect(await migrate(db, [first, second])).toEqual({ from: 1, to: 2 });
  const applied = await db.query({ text: "SELECT version, name, checksum FROM schema_migrations ORDER BY version" });
  const checksum = (sql: string) => createHash("sha256").update(sql).digest("hex");
  expect(applied).toEqual([
    { version: 1, name: first.name, checksum: checksum(first.sql) },
    { version: 2, name: second.name, checksum: checksum(second.sql) },
  ]);
});

test("a file that fails leaves nothing of itself, and all before it", async () => {
  await using db = await openEmptyDatabase();
  await expect(migrate(db, [first, second, broken])).rejects.toThrow("SELEKT");
  expect(await tables(db)).toEqual(["notes", "schema_migrations"]);
  expect((await pendingMigrations(db, [first, second, broken])).map(({ version }) => version)).toEqual([3]);
});

test("of programs that start together one migrates and the others find it done", async () => {
  await using db = await openEmptyDatabase();
  const outcomes = await Promise.all([1, 2, 3, 4].map(() => migrate(db)));
  const count = (await readMigrations()).length;
  expect(outcomes.map(({ from }) => from).sort()).toEqual([0, count, count, count]);
});

test("a database of a newer program is refused", async () => {
  await using db = await openEmptyDatabase();
  await migrate(db, [first, second]);
  expect(await refusal(migrate(db, [first]))).toBe(
    "the database has schema 2, this program knows 1; start the newer program that was here before",
  );
  await refusal(pendingMigrations(db, [first]));
});

test("a database whose schema was made by another file than ours is refused", async () => {
  await using db = await openEmptyDatabase();
  await migrate(db, [first]);
  const changed = { ...first, sql: `${first.sql} ` };
  expect(await refusal(migrate(db, [changed, second]))).toBe(
    "the schema of the database was made by another 0001_notes.sql than this program has; use a released program, or an empty database",
  );
  expect(await tables(db)).toEqual(["notes", "schema_migrations"]);
});

test("a database of another program is refused and stays as it is", async () => {
  await using db = await openEmptyDatabase();
  await db.query({ text: "CREATE TABLE events (id integer)" });
  expect(await refusal(migrate(db))).toBe(
    "the database holds tables of another program (events); set database.url to an empty database",
  );
  expect(await tables(db)).toEqual(["events"]);
});

test("a database with another encoding than UTF-8 is refused", async () => {
  await using db = await openEmptyDatabase("ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C'");
  expect(await refusal(migrate(db))).toMatch(/^the database has the encoding LATIN1; create it with CREATE DATABASE/);
  expect(await tables(db)).toEqual([]);
});

test.each([
  [130_021, "13.21"],
  [190_000, "19.0"],
])("a server of version %i is refused", async (number, version) => {
  await using db = await openTestDatabase();
  const other = {
    ...db,
    query: async <Row extends object>() => [{ version, number, encoding: "UTF8" }] as unknown as Row[],
  };
  expect(await refusal(migrate(other))).toBe(`the database server is PostgreSQL ${version}; use one of 14 to 18`);
});
