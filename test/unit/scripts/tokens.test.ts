import { expect, test } from "@jest/globals";
import { tokenize } from "../../../scripts/check/tokens.ts";

const values = (text: string) => tokenize(text).map(({ value }) => value);
const texts = (text: string) => tokenize(text).flatMap(({ kind, value }) => (kind === "text" ? [value] : []));

test("names, numbers and signs stand apart, each with its line", () => {
  expect(tokenize("const a =\n  1_000;")).toEqual([
    { kind: "name", value: "const", line: 1 },
    { kind: "name", value: "a", line: 1 },
    { kind: "sign", value: "=", line: 1 },
    { kind: "sign", value: "1_000", line: 2 },
    { kind: "sign", value: ";", line: 2 },
  ]);
});

test("comments make no token, and lines go on counting after them", () => {
  expect(tokenize('#!/bin/node\n// import "a"\n/* import\n"b" */ x // y')).toEqual([
    { kind: "name", value: "x", line: 4 },
  ]);
});

test.each([
  [`"a // b" + 'c "d"'`, ["a // b", 'c "d"']],
  [`"a \\" b" + ''`, ['a \\" b', ""]],
  [`\`a \${b} c \${\`d \${e}\`} f\``, ["a x c x f", "d x"]],
  [`\`a \${{ b: '}' }.b} c\``, ["a x c", "}"]],
  [`\`\\\`$ \\\${a}\``, [`\\\`$ \\\${a}`]],
  ["`line\nline`", ["line\nline"]],
])("the strings and templates of %p are read whole", (text, expected) => {
  expect(texts(text).sort()).toEqual([...expected].sort());
});

test.each([
  ['x.replace(/"/g, y)', ["x", ".", "replace", "(", '/"/g', ",", "y", ")"]],
  ["return /[/'\"]/.test(a)", ["return", "/[/'\"]/", ".", "test", "(", "a", ")"]],
  ["a / b / c", ["a", "/", "b", "/", "c"]],
  ["(a) / 2 / b['c']", ["(", "a", ")", "/", "2", "/", "b", "[", "c", "]"]],
  ["const r = /\\/\\*/;", ["const", "r", "=", "/\\/\\*/", ";"]],
])("in %p a regular expression is told from a division", (text, expected) => {
  expect(values(text)).toEqual(expected);
});

test("an expression within a template ends where it ends, and the code goes on", () => {
  expect(values(`f(\`\${a}\`, b)`)).toEqual(["f", "(", "x", "a", ",", "b", ")"]);
});
