import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

test.each([
  [
    "text",
    ["plain", "", "NULL", "null", "a,b", "{c}", 'say "hi"', "back\\slash", '\\"', " spaces ", "new\nline", "ü€😀"],
  ],
  ["text", ["$1", "$&", "'", "--", "\t", null]],
  ["text", []],
  ["int", [0, -1, 2 ** 31 - 1, null]],
  ["bigint", [2 ** 53 - 1, -(2 ** 53 - 1), null]],
  ["float8", [0.5, -1e-9, Number.NEGATIVE_INFINITY]],
  ["bool", [true, false, null]],
  ["bytea", [Buffer.from([0, 34, 92, 255]), Buffer.alloc(0), null]],
])("an array of %s reaches the database as it is: %j", async (type, values) => {
  const text = `SELECT value FROM unnest($1::${type}[]) WITH ORDINALITY AS given (value, n) ORDER BY n`;
  const rows = await db.query<{ value: unknown }>({ text, values: [values] });
  expect(rows.map(({ value }) => value)).toEqual(values);
});

test("undefined is no value", async () => {
  const text = "SELECT value FROM unnest($1::text[]) AS given (value)";
  expect(await db.query({ text, values: [[undefined, "x"]] })).toEqual([{ value: null }, { value: "x" }]);
});

test("what no column takes is refused before it is sent", async () => {
  await expect(db.query({ text: "SELECT $1::text[]", values: [[{}]] })).rejects.toThrow(/an array for the database/);
});
