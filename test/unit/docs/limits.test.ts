import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";

const CAUSE = "v2 cannot show it";

/** Cells of the tables' rows, but for those of their heads. */
const rows = readFileSync("docs/limits.md", "utf8")
  .split("\n")
  .filter((line) => line.startsWith("| ") && !line.startsWith("| ---"))
  .map((line) => line.split(" | ").map((cell) => cell.replaceAll(/^\| | \|$/g, "")))
  .filter(([first]) => first !== "no." && first !== "homeserver");

const testsIn = (cell = "") =>
  [...cell.matchAll(/`(test\/[^`]+)` "([^"]+)"/g)].map(([, path = "", name = ""]) => ({ path, name }));

test("every test that the page of limits names exists", () => {
  const named = rows.flatMap((cells) => testsIn(cells.at(-1)));
  expect(named.length).toBeGreaterThan(60);
  const missing = named.filter(
    ({ path, name }) => !existsSync(path) || !readFileSync(path, "utf8").includes(`"${name}"`),
  );
  expect(missing).toEqual([]);
});

test.each(rows)("the limit %s is shown by tests alone, or by no v2 response", (...cells) => {
  expect(cells).toHaveLength(4);
  const last = cells.at(-1) ?? "";
  const written = testsIn(last).map(({ path, name }) => `\`${path}\` "${name}"`);
  expect(last).toBe(written.length === 0 ? CAUSE : written.join(", "));
});

test("the page of limits has each of the fifty once", () => {
  const numbers = rows.map(([first]) => Number(first)).filter((number) => !Number.isNaN(number));
  expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 50 }, (_, index) => index + 1));
});
