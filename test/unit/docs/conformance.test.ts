import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { EXTENSION_ROWS, ROWS } from "../../e2e/conformance/rows.ts";
import { SCRIPTED_ROWS } from "../../e2e/conformance/scripted-rows.ts";
import { conformancePage } from "../../e2e/conformance/table.ts";

test("each behaviour of the table is tried once", () => {
  const numbers = [...ROWS, ...SCRIPTED_ROWS, ...EXTENSION_ROWS].map(({ number }) => number);
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 150 }, (_, index) => index + 1));
});

test("every difference says why", () => {
  const rows = [...ROWS, ...EXTENSION_ROWS];
  const reasons = [...rows.map(({ differs }) => differs?.reason), ...SCRIPTED_ROWS.map(({ differs }) => differs)];
  const cited = /client rule \d+|MSC4186|docs\/limits\.md|As row \d+|must not answer from before/;
  expect(reasons.filter((reason) => reason !== undefined && !cited.test(reason))).toEqual([]);
});

test("every row of the scripted homeserver has its test, and the page is as the rows are", () => {
  expect(SCRIPTED_ROWS.filter(({ file }) => !existsSync(file))).toEqual([]);
  expect(readFileSync("docs/conformance.md", "utf8")).toBe(conformancePage());
});
