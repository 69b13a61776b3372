import { expect, test } from "@jest/globals";
import { readModules } from "../../../scripts/check/imports.ts";

function read(text: string) {
  const [module] = readModules([{ path: "src/sync/a.ts", text }]);
  return module!;
}

test.each([
  ['import { a, type B as C } from "../lib/x.ts";', { target: "src/lib/x.ts", isTypeOnly: false, names: ["a", "C"] }],
  ['import type { A } from "./x.ts";', { target: "src/sync/x.ts", isTypeOnly: true, names: ["A"] }],
  ['import { type A } from "./x.ts";', { isTypeOnly: false, names: ["A"] }],
  ['import * as all from "pg";', { specifier: "pg", target: undefined, names: ["all"] }],
  ['import type All from "pg";', { isTypeOnly: true, names: ["All"] }],
  ['import type from "pg";', { isTypeOnly: false, names: ["type"] }],
  ['import "./x.ts";', { specifier: "./x.ts", names: [] }],
  ['const x = await import("./x.ts");', { specifier: "./x.ts", names: [] }],
  ['let x: import("./x.ts").X;', { specifier: "./x.ts" }],
  ['import data from "../../package.json" with { type: "json" };', { target: "package.json", names: ["data"] }],
  ['export { a } from "./x.ts";', { specifier: "./x.ts", isReexport: true }],
  ['export type { A } from "./x.ts";', { isReexport: true, isTypeOnly: true }],
  ['export * from "./x.ts";', { specifier: "./x.ts", isReexport: true }],
  ['export * as x from "./x.ts";', { specifier: "./x.ts", isReexport: true }],
  ['import {\n  a,\n} from\n  "./x.ts";', { specifier: "./x.ts", names: ["a"], line: 1 }],
])("%p is one import", (text, expected) => {
  expect(read(text).imports).toEqual([expect.objectContaining(expected)]);
});

test.each([
  "// import a from 'b';",
  "const a = `import b from 'c'`;",
  "import.meta.dirname;",
  'x.import("./y.ts");',
  'const a = { import: "./y.ts" };',
  'const load = (name: string) => import(name); const from = "x";',
])("%p imports nothing", (text) => {
  expect(read(text).imports).toEqual([]);
});

test.each([
  ["export const a = 1;", ["a"]],
  ["export async function b() {}", ["b"]],
  ["export function* c() {}", ["c"]],
  ["export abstract class D {}", ["D"]],
  ["export interface E {}\nexport type F = E;", ["E", "F"]],
  ["export declare const g: number;", ["g"]],
  ["const h = 1, i = 2; export { h, i as j };", ["h", "j"]],
  ["export type { K };", ["K"]],
  ["export default 1;", ["default"]],
  ["x.export; const y = { export: 1 };", []],
])("%p exports its names", (text, names) => {
  expect(read(text).exports.map(({ name }) => name)).toEqual(names);
});

test("files that are not code are left out", () => {
  expect(readModules([{ path: "docs/a.md", text: 'import "b"' }])).toEqual([]);
});
