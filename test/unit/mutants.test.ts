import { existsSync, readFileSync } from "node:fs";
import { expect, test } from "@jest/globals";
import { allMutants } from "../mutants/all-mutants.ts";

test("every mutant replaces a text that its file has once, and names a test that exists", () => {
  expect(allMutants.length).toBeGreaterThan(200);
  const wrong = allMutants.filter(
    ({ file, find, test: path }) => readFileSync(file, "utf8").split(find).length !== 2 || !existsSync(path),
  );
  expect(wrong.map(({ name }) => name)).toEqual([]);
});

test("no two mutants have one name", () => {
  expect(new Set(allMutants.map(({ name }) => name)).size).toBe(allMutants.length);
});
