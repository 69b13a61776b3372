import { describe, expect, test } from "@jest/globals";
import { cycles } from "../../../scripts/check/cycles.ts";
import { barrels, resolution, unusedExports } from "../../../scripts/check/import-rules.ts";
import { layers } from "../../../scripts/check/layers.ts";
import type { Rule } from "../../../scripts/check/source.ts";
import { foreignWords, lineLimits, purity, sqlInStore } from "../../../scripts/check/text-rules.ts";

/** What a rule says of these files, as `path:line message`. */
function check(rule: Rule, files: Readonly<Record<string, string>>): string[] {
  const sources = Object.entries(files).map(([path, text]) => ({ path, text }));
  return rule(sources).map(({ path, line, message }) => `${path}:${line} ${message}`);
}

describe("the folder table", () => {
  test.each([
    ["src/sync/a.ts", 'import { b } from "../store/b.ts";'],
    ["src/sync/a.ts", 'import { b } from "./b.ts";'],
    ["src/sync/a.ts", 'import type { Logger } from "../logging/logger.ts";'],
    ["src/store/a.ts", 'import pg from "pg";'],
    ["src/protocol/a.ts", 'import type { B } from "../engine/b.ts";'],
    ["src/app.ts", 'import { b } from "./http/b.ts";'],
    ["src/cli/a.ts", 'import { b } from "../app.ts";'],
    ["test/unit/a.test.ts", 'import { b } from "../../src/engine/b.ts";'],
    ["scripts/a.ts", 'import { b } from "../src/config/b.ts";'],
    ["test/support/homeserver/a.ts", 'import { b } from "../../../src/lib/b.ts";'],
  ])("%s may say %s", (path, text) => {
    expect(check(layers, { [path]: text })).toEqual([]);
  });

  test.each([
    ["src/lib/a.ts", 'import { b } from "../model/b.ts";', "lib may not import model"],
    ["src/lib/a.ts", 'import type { Logger } from "../logging/logger.ts";', "lib may not import logging"],
    ["src/engine/x/a.ts", 'import type { B } from "../../metrics/b.ts";', "engine may not import metrics"],
    ["src/engine/a.ts", 'import type { B } from "../store/b.ts";', "engine may not import store"],
    ["src/sync/a.ts", 'import { b } from "../logging/b.ts";', "sync may import types of logging only (import type)"],
    ["src/sync/a.ts", 'import { b } from "../homeserver/b.ts";', "sync may not import homeserver"],
    [
      "src/protocol/a.ts",
      'import { b } from "../engine/b.ts";',
      "protocol may import types of engine only (import type)",
    ],
    ["src/http/a.ts", 'import type { Config } from "../config/b.ts";', "http may not import config"],
    ["src/http/a.ts", 'export { b } from "../app.ts";', "http may not import src/app.ts"],
    ["src/sync/a.ts", 'import { b } from "../../test/b.ts";', "src imports test/b.ts"],
    [
      "test/support/homeserver/a.ts",
      'import type { B } from "../../../src/model/b.ts";',
      "the scripted homeserver imports src/model; of src it may import lib only",
    ],
  ])("%s may not say %s", (path, text, message) => {
    expect(check(layers, { [path]: text })).toEqual([`${path}:1 ${message}`]);
  });

  test("a folder that is not in the table is found", () => {
    expect(check(layers, { "src/helpers/a.ts": "" })).toEqual([
      "src/helpers/a.ts:0 src/helpers is not in the table of folders (scripts/check/layers.ts)",
    ]);
  });
});

describe("import cycles", () => {
  test("a chain is none", () => {
    const files = { "src/lib/a.ts": 'import "./b.ts";', "src/lib/b.ts": 'import "./c.ts";', "src/lib/c.ts": "" };
    expect(check(cycles, files)).toEqual([]);
  });

  test("a cycle of types is found once, with its way", () => {
    const files = {
      "src/lib/a.ts": 'import { b } from "./b.ts";',
      "src/lib/b.ts": 'import type { C } from "./c.ts";\nimport "./d.ts";',
      "src/lib/c.ts": 'import type { A } from "./a.ts";',
      "src/lib/d.ts": "",
    };
    expect(check(cycles, files)).toEqual([
      "src/lib/a.ts:0 import cycle: src/lib/a.ts → src/lib/b.ts → src/lib/c.ts → src/lib/a.ts",
    ]);
  });

  test("a file that imports itself is a cycle", () => {
    expect(check(cycles, { "test/a.ts": 'import "./a.ts";' })).toEqual([
      "test/a.ts:0 import cycle: test/a.ts → test/a.ts",
    ]);
  });
});

describe("barrels", () => {
  test("a file that exports its own is none", () => {
    expect(
      check(barrels, { "src/lib/a.ts": 'import { a } from "./b.ts";\nexport const c = a; export { d };' }),
    ).toEqual([]);
  });

  test.each([
    ["src/lib/index.ts", "", "0 a file named index; name it for its export"],
    ["src/lib/a.ts", 'export * from "./b.ts";', "1 exports what ./b.ts made"],
    ["src/lib/a.ts", 'export type { B } from "./b.ts";', "1 exports what ./b.ts made"],
    ["src/lib/a.ts", 'import { b } from "./b.ts";\nexport { b };', "2 exports b, which it imports"],
  ])("%s with %p is one", (path, text, finding) => {
    expect(check(barrels, { [path]: text })).toEqual([`${path}:${finding}`]);
  });
});

describe("imports resolve", () => {
  test("to files that are there", () => {
    const text = 'import { b } from "./b.ts";\nimport pg from "pg";\nimport { readFileSync } from "node:fs";';
    expect(check(resolution, { "src/lib/a.ts": text, "src/lib/b.ts": "" })).toEqual([]);
  });

  test.each(["./c.ts", "./b", "./b.js", "../b.ts"])("and not to %s", (specifier) => {
    expect(check(resolution, { "src/lib/a.ts": `\nimport "${specifier}";`, "src/lib/b.ts": "" })).toEqual([
      `src/lib/a.ts:2 there is no file ${specifier}`,
    ]);
  });
});

describe("unused exports", () => {
  test("an export that a test uses is used", () => {
    const files = { "src/lib/a.ts": "export const a = 1;", "test/a.test.ts": 'import { a } from "../src/lib/a.ts";' };
    expect(check(unusedExports, files)).toEqual([]);
  });

  test("a type that another export of its file takes or gives is used", () => {
    const files = { "src/lib/a.ts": "export interface Given {}\nexport const a: Given = {};", "src/lib/b.ts": "a;" };
    expect(check(unusedExports, files)).toEqual([]);
  });

  test("an export that only its own file, a comment or a string names is unused", () => {
    const files = { "src/lib/a.ts": "\nexport const a = 1;\nuse(a);", "src/lib/b.ts": '// a\nconst b = "a";' };
    expect(check(unusedExports, files)).toEqual(["src/lib/a.ts:2 nobody else uses the exported a"]);
  });

  test("exports outside of src are nobody's concern", () => {
    expect(check(unusedExports, { "test/support/a.ts": "export const a = 1;" })).toEqual([]);
  });
});

describe("SQL in the store only", () => {
  test.each([
    ["src/store/a.ts", 'const a = "SELECT 1";'],
    ["src/store/migrations/0001_a.sql", "SELECT 1;"],
    ["test/service/a.test.ts", 'const a = "SELECT 1";'],
    ["src/sync/a.ts", '// SELECT 1\nconst a = "select a room"; const SELECT = 1;'],
  ])("%s may say %p", (path, text) => {
    expect(check(sqlInStore, { [path]: text })).toEqual([]);
  });

  test.each([
    '"SELECT 1"',
    `\`\nINSERT INTO \${a}\``,
    "'DELETE FROM a'",
    `\`UPDATE \${table} SET a = 1\``,
  ])("src/jobs may not say %p", (literal) => {
    expect(check(sqlInStore, { "src/jobs/a.ts": `const a = ${literal};` })).toEqual([
      "src/jobs/a.ts:1 SQL outside of src/store",
    ]);
  });

  test("a file of SQL elsewhere is found", () => {
    expect(check(sqlInStore, { "src/jobs/a.sql": "" })).toEqual(["src/jobs/a.sql:0 SQL outside of src/store"]);
  });
});

describe("line limits", () => {
  const lines = (count: number) => "a;\n".repeat(count);

  test("files at their limit pass", () => {
    const files = {
      "src/a.ts": lines(300),
      "scripts/a.mjs": lines(300),
      "test/a.ts": lines(500),
      "src/a.sql": lines(999),
    };
    expect(check(lineLimits, files)).toEqual([]);
  });

  test("files above it do not", () => {
    expect(check(lineLimits, { "src/a.ts": lines(301), "test/a.ts": `${lines(500)}a` })).toEqual([
      "src/a.ts:0 301 lines; at most 300",
      "test/a.ts:0 501 lines; at most 500",
    ]);
  });
});

describe("foreign words", () => {
  // Put together here, so that this file does not say them itself.
  const said = (word: string, rest = "") => `see ${word}${rest} there`;

  test.each([
    said("#", "room:example.org"),
    said("MSC", "4186"),
    said("issue"),
    said("a#", "1"),
    said("&#", "39;"),
    "net/work",
  ])("%p may be said", (text) => {
    expect(check(foreignWords, { "src/a.ts": text, "README.md": text })).toEqual([]);
  });

  test.each([
    said("/wo", "rk/main"),
    said("#", "12"),
    said("issue ", "3"),
    said("/issues/", "3"),
    said("TO", "DO"),
    said("FIX", "ME"),
  ])("%p may not", (text) => {
    for (const path of ["src/a.ts", "docs/a.md", "test/a.json", "README.md"]) {
      expect(check(foreignWords, { [path]: `a\n${text}` })).toEqual([expect.stringMatching(`^${path}:2 `)]);
    }
    expect(check(foreignWords, { "scripts/a.ts": text })).toEqual([]);
  });
});

describe("purity", () => {
  test.each([
    ["src/engine/a.ts", "const at = new Date(0); x.async; const b = { process: 1 };"],
    ["src/model/a.ts", "export interface Port { read(): Promise<void> }"],
    ["src/sync/a.ts", "await pause(); Date.now(); process.exitCode = 1;"],
  ])("%s may say %p", (path, text) => {
    expect(check(purity, { [path]: text })).toEqual([]);
  });

  test.each([
    ["src/engine/a.ts", "async function a() {}", "async"],
    ["src/model/a.ts", "await b;", "await"],
    ["src/engine/a.ts", "Date.now()", "Date.now"],
    ["src/engine/a.ts", "new Date()", "new Date()"],
    ["src/engine/a.ts", "Math.random()", "Math.random"],
    ["src/engine/a.ts", "process.env", "process"],
    ["src/main.ts", "process.exit(1)", "process.exit"],
  ])("%s may not say %p", (path, text, word) => {
    expect(check(purity, { [path]: text })).toEqual([`${path}:1 ${word} does not belong here`]);
  });
});
