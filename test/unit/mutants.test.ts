import { existsSync, readFileSync } from "node:fs";
import { stripTypeScriptTypes } from "node:module";
import { SourceTextModule } from "node:vm";
import { expect, test } from "@jest/globals";
import { allMutants } from "../mutants/all-mutants.ts";

test("every mutant replaces a text that its file has once, and names a test that exists", () => {
  expect(allMutants.length).toBeGreaterThan(200);
  const wrong = allMutants.filter(
    ({ file, find, test: path }) => readFileSync(file, "utf8").split(find).length !== 2 || !existsSync(path),
  );
  expect(wrong.map(({ name }) => name)).toEqual([]);
});

/** undefined: it can be loaded. */
function faultOf(program: string): string | undefined {
  try {
    new SourceTextModule(stripTypeScriptTypes(program));
    return undefined;
  } catch (error) {
    return String(error);
  }
}

test("every mutant is a program", () => {
  const wrong = allMutants
    .filter(({ file }) => file.endsWith(".ts"))
    .map(({ name, file, find, replace }) => [name, faultOf(readFileSync(file, "utf8").replace(find, () => replace))])
    .filter(([, fault]) => fault !== undefined);
  expect(wrong).toEqual([]);
});

test("no two mutants have one name", () => {
  expect(new Set(allMutants.map(({ name }) => name)).size).toBe(allMutants.length);
});
