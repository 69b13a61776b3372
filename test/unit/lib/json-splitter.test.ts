import { expect, test } from "@jest/globals";
import { InvariantError } from "../../../src/lib/invariant.ts";
import { JsonLimitError, JsonSyntaxError } from "../../../src/lib/json-errors.ts";
import { compilePatterns } from "../../../src/lib/json-patterns.ts";
import { DEFAULT_MAX_DEPTH, JsonSplitter, type SplitterOptions } from "../../../src/lib/json-splitter.ts";

type Limits = Pick<SplitterOptions, "maxDepth" | "maxKeyBytes" | "maxValueBytes">;

/** Splits `chunks` and tells what was told, one line each. */
function told(
  chunks: readonly (string | Uint8Array)[],
  patterns: string[],
  containers: string[] = [],
  limits: Limits = {},
): string[] {
  const lines: string[] = [];
  const name = (path: readonly (string | number)[]): string => path.join("/");
  const splitter = new JsonSplitter({
    patterns: compilePatterns(patterns.map(pathOf), containers.map(pathOf)),
    onValue: (index, path, raw) => lines.push(`${index} ${name(path)} = ${raw.toString()}`),
    onOpen: (index, path, kind) => lines.push(`${index} ${name(path)} opens ${kind}`),
    onClose: (index, path) => lines.push(`${index} ${name(path)} closes`),
    ...limits,
  });
  for (const chunk of chunks) splitter.write(Buffer.from(chunk));
  splitter.end();
  return lines;
}

const pathOf = (pattern: string): string[] => (pattern === "" ? [] : pattern.split("/"));

const SHELVES = `{
  "owner": "Zoë \\u00e9 \\ud83d\\ude00 😀",
  "shelves": {
    "top": { "books": [ {"t":"A, \\"B\\""} , {"t":[]} ], "full": false, "width": -1.50e+2 },
    "\\u006did": { "books": [], "full": true, "notes": {"books": [0]} },
    "none": null
  },
  "count": 12
}`;
const SHELF_PATTERNS = ["owner", "shelves/*/books/*", "shelves/*/full", "shelves/*/width", "count"];
const SHELF_CONTAINERS = ["shelves", "shelves/*"];
const SHELF_LINES = [
  '0 owner = "Zoë \\u00e9 \\ud83d\\ude00 😀"',
  "0 shelves opens object",
  "1 shelves/top opens object",
  '1 shelves/top/books/0 = {"t":"A, \\"B\\""}',
  '1 shelves/top/books/1 = {"t":[]}',
  "2 shelves/top/full = false",
  "3 shelves/top/width = -1.50e+2",
  "1 shelves/top closes",
  "1 shelves/mid opens object",
  "2 shelves/mid/full = true",
  "1 shelves/mid closes",
  "0 shelves closes",
  "4 count = 12",
];

test("values and containers are told in the order of the body", () => {
  expect(told([SHELVES], SHELF_PATTERNS, SHELF_CONTAINERS)).toEqual(SHELF_LINES);
});

test("a body cut at any one byte tells the same", () => {
  const body = Buffer.from(SHELVES);
  for (let at = 0; at <= body.length; at++) {
    const chunks = [body.subarray(0, at), new Uint8Array(), body.subarray(at)];
    expect(told(chunks, SHELF_PATTERNS, SHELF_CONTAINERS)).toEqual(SHELF_LINES);
  }
});

test("no beginning of a body is taken for a whole one", () => {
  const body = Buffer.from(SHELVES);
  for (let length = 0; length < body.length; length++) {
    const error = new JsonSyntaxError("JSON ends early", length);
    expect(() => told([body.subarray(0, length)], SHELF_PATTERNS)).toThrow(error);
  }
});

test.each([
  ["an object", ' {"a":1} ', ['0  = {"a":1}']],
  ["an array", "\t[1, 2]\n", ["0  = [1, 2]"]],
  ["a string", '"a"', ['0  = "a"']],
  ["a number, ended by the end", "-0.1E-2", ["0  = -0.1E-2"]],
  ["a number, ended by white space", "10\r\n", ["0  = 10"]],
  ["a literal", "null", ["0  = null"]],
])("the root may be handed out: %s", (_, body, lines) => {
  expect(told([body], [""])).toEqual(lines);
  expect(told([...body], [""])).toEqual(lines);
});

test("members with the same key are all told, in order", () => {
  const body = '{"a":{"b":1,"b":2},"a":3,"a":{"b":4}}';
  expect(told([body], ["a/b"], ["a"])).toEqual([
    "0 a opens object",
    "0 a/b = 1",
    "0 a/b = 2",
    "0 a closes",
    "0 a opens object",
    "0 a/b = 4",
    "0 a closes",
  ]);
});

test("a literal step names keys only, and * any key or index", () => {
  expect(told(['{"0":1,"1":[2]}'], ["0", "1/0"])).toEqual(["0 0 = 1"]);
  expect(told(["[[1],2,{}]"], ["*/*"], ["*", ""])).toEqual([
    "1  opens array",
    "0 0 opens array",
    "0 0/0 = 1",
    "0 0 closes",
    "0 2 opens object",
    "0 2 closes",
    "1  closes",
  ]);
});

test("where a literal and * both match, the patterns of both go on", () => {
  const body = '{"a":{"x":1,"y":2},"b":{"x":3,"y":4}}';
  expect(told([body], ["*/x", "a/y"])).toEqual(["0 a/x = 1", "1 a/y = 2", "0 b/x = 3"]);
});

test.each([
  ["a value twice", ["a", "a"], []],
  ["a value below a value", ["a", "a/b"], []],
  ["a value below a value by *", ["a/*", "*/b/c"], []],
  ["a container at a value", ["a"], ["*"]],
  ["a container below a value", [""], ["a"]],
])("patterns that overlap are refused: %s", (_, patterns, containers) => {
  expect(() => told(["0"], patterns, containers)).toThrow(InvariantError);
});

test("keys that are names of Object.prototype are keys like others", () => {
  const body = '{"__proto__":{"constructor":1},"toString":2}';
  expect(told([body], ["__proto__/*", "toString", "valueOf"])).toEqual([
    "0 __proto__/constructor = 1",
    "1 toString = 2",
  ]);
});

const VALID = [
  ...["0", "-0", "1.0", "1e5", "1E+05", "-1.5e-0", "1e400", "123456789012345678901234567890", "[]", "{}", "[[],{}]"],
  ...['""', '"\\u0000"', '"\\ud800"', '"\\"\\\\\\/\\b\\f\\n\\r\\t\\uAbCd"', '"\x7f\u2028"', '{"":0}', '{"a":0,"a":0}'],
  ...[" \t\r\n[ 1 , 2 ] ", ' { "a" : true } '],
];
const INVALID = [
  ...[
    "",
    " ",
    "\ufeff0",
    "\u00a00",
    "nul",
    "nulll",
    "True",
    "NaN",
    "Infinity",
    "undefined",
    "'a'",
    "//",
    "1 2",
    "{}[]",
  ],
  ...["01", "-", "-a", "+1", ".5", "1.", "1.e1", "1e", "1e+", "0x1", "1_0", "--1", "1.2.3", "1e2e3", "1e2.3"],
  ...["[1,]", "[,1]", "[1,,2]", "[1 2]", "[1", "]", "[}", "[1}", "[1:2]", ",", "1,", "[]]"],
  ...['{"a"}', '{"a":}', '{"a":1,}', "{,}", '{"a" 1}', '{"a":1 "b":2}', "{a:1}", "{1:1}", '{"a":1]', "{]", "{", "}"],
  ...[
    '"',
    '"a',
    '"\\"',
    '"\\x"',
    '"\\u12"',
    '"\\u123g"',
    '"\\U0041"',
    '"\n"',
    '"\0"',
    '"\x1f"',
    '{"\t":1}',
    '{"\\q":1}',
  ],
];

test.each(VALID.map((body) => [JSON.stringify(body), body]))("JSON.parse and the splitter accept %s", (_, body) => {
  expect(() => JSON.parse(body)).not.toThrow();
  expect(() => told([body], ["*"])).not.toThrow();
  expect(() =>
    told(
      [...Buffer.from(body)].map((byte) => Uint8Array.of(byte)),
      ["x"],
    ),
  ).not.toThrow();
});

test.each(INVALID.map((body) => [JSON.stringify(body), body]))("JSON.parse and the splitter refuse %s", (_, body) => {
  expect(() => JSON.parse(body)).toThrow(SyntaxError);
  expect(() => told([body], ["*"])).toThrow(JsonSyntaxError);
  expect(() =>
    told(
      [...Buffer.from(body)].map((byte) => Uint8Array.of(byte)),
      ["x"],
    ),
  ).toThrow(JsonSyntaxError);
});

test("bytes that are not UTF-8 are content in strings and errors elsewhere, as for JSON.parse of the decoded body", () => {
  const splitter = (body: string) => told([Buffer.from(body, "latin1")], ["*"]);
  expect(splitter('{"\xff":"\xc3"}')).toEqual(['0 \ufffd = "\ufffd"']);
  expect(() => splitter("[\xff]")).toThrow(JsonSyntaxError);
});

test.each([
  ["[1,]", 3],
  ['{"é":tru}', 9],
  ["[1]]", 3],
  ['["\\x"]', 3],
  ["[[1}", 3],
  ["-x", 1],
])("the error in %s names byte %i, in one chunk or many", (body, offset) => {
  const bytes = Buffer.from(body);
  expect(() => told([bytes], [])).toThrow(expect.objectContaining({ offset }));
  expect(() => told([bytes.subarray(0, 2), bytes.subarray(2)], [])).toThrow(expect.objectContaining({ offset }));
});

test("a body nests as deep as the limit and no deeper, also where nobody looks", () => {
  const nested = (depth: number): string => "[".repeat(depth) + "]".repeat(depth);
  expect(() => told([nested(3)], ["*"], [], { maxDepth: 3 })).not.toThrow();
  expect(() => told([nested(4)], ["*"], [], { maxDepth: 3 })).toThrow(new JsonLimitError("maxDepth", 3));
  expect(() => told(['{"a":{"b":{"c":{}}}}'], ["a/b/c/d"], [], { maxDepth: 3 })).toThrow(JsonLimitError);
  expect(() => told([nested(DEFAULT_MAX_DEPTH)], ["*"])).not.toThrow();
  expect(() => told([nested(DEFAULT_MAX_DEPTH + 1)], ["*"])).toThrow(JsonLimitError);
});

test("containers side by side do not add up to a depth", () => {
  expect(() => told([`[${"[{}],".repeat(100)}0]`], ["*"], [], { maxDepth: 3 })).not.toThrow();
});

test("a key has as many bytes as the limit and no more, in one chunk or many", () => {
  const limits = { maxKeyBytes: 4 };
  const error = new JsonLimitError("maxKeyBytes", 4);
  expect(told(['{"éé":1}'], ["*"], [], limits)).toEqual(["0 éé = 1"]);
  expect(told(['{"abc', "d", '":1}'], ["*"], [], limits)).toEqual(["0 abcd = 1"]);
  expect(() => told(['{"éée":1}'], ["*"], [], limits)).toThrow(error);
  expect(() => told(['{"abc', "de"], ["*"], [], limits)).toThrow(error);
});

test("keys that no pattern looks at are not limited", () => {
  expect(told(['{"a":{"abcdefgh":1}}'], ["a"], [], { maxKeyBytes: 4 })).toEqual(['0 a = {"abcdefgh":1}']);
  expect(told(['{"b":{"abcdefgh":1}}'], ["a"], [], { maxKeyBytes: 4 })).toEqual([]);
});

test("a handed-out value has as many bytes as the limit and no more, in one chunk or many", () => {
  const limits = { maxValueBytes: 5 };
  const error = new JsonLimitError("maxValueBytes", 5);
  expect(told(['{"a":[1,2],"b":[1,2,3]}'], ["a"], [], limits)).toEqual(["0 a = [1,2]"]);
  expect(told(['{"a":[1', ",2", "]}"], ["a"], [], limits)).toEqual(["0 a = [1,2]"]);
  expect(() => told(['{"a":[1,23]}'], ["a"], [], limits)).toThrow(error);
  expect(() => told(['{"a":[1', ",234"], ["a"], [], limits)).toThrow(error);
});

test("a large value in many chunks comes out whole", () => {
  const chunks = Array.from({ length: 300 }, (_, index) => `${"x".repeat(index * 7)}é`);
  expect(told(['{"a":"', ...chunks, '","b":"', ...chunks, '"}'], ["*"])).toEqual([
    `0 a = "${chunks.join("")}"`,
    `0 b = "${chunks.join("")}"`,
  ]);
});

test("a value is handed out as soon as its last byte is known, in memory that holds nothing else", () => {
  const values: Buffer[] = [];
  const splitter = new JsonSplitter({
    patterns: compilePatterns([["*"]]),
    onValue: (_index, _path, raw) => values.push(raw),
  });
  splitter.write(Buffer.from('["a",1'));
  expect(values.map(String)).toEqual(['"a"']);
  splitter.write(Buffer.from(",{"));
  splitter.write(Buffer.from("}"));
  expect(values.map(String)).toEqual(['"a"', "1", "{}"]);
  expect(values.map(({ buffer }) => buffer.byteLength)).toEqual([3, 1, 2]);
});

test("a splitter that failed, ended or is at work takes no bytes", () => {
  const failed = new JsonSplitter({ patterns: compilePatterns([]), onValue: () => {} });
  expect(() => failed.write(Buffer.from("}"))).toThrow(JsonSyntaxError);
  expect(() => failed.write(Buffer.from("{}"))).toThrow(InvariantError);
  expect(() => failed.end()).toThrow(InvariantError);

  const ended = new JsonSplitter({ patterns: compilePatterns([]), onValue: () => {} });
  ended.write(Buffer.from("{}"));
  ended.end();
  expect(() => ended.end()).toThrow(InvariantError);
  expect(() => ended.write(Buffer.from(" "))).toThrow(InvariantError);

  const atWork: JsonSplitter = new JsonSplitter({
    patterns: compilePatterns([[]]),
    onValue: () => atWork.write(Buffer.from(" ")),
  });
  expect(() => atWork.write(Buffer.from("{}"))).toThrow(InvariantError);
});

test("the error of a receiver reaches the writer and ends the splitter", () => {
  const splitter = new JsonSplitter({
    patterns: compilePatterns([["a"]]),
    onValue: () => {
      throw new RangeError("too old");
    },
  });
  expect(() => splitter.write(Buffer.from('{"a":1}'))).toThrow(new RangeError("too old"));
  expect(() => splitter.write(Buffer.from(" "))).toThrow(InvariantError);
});
