import { isDeepStrictEqual } from "node:util";
import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { InvariantError } from "../../src/lib/invariant.ts";
import { JsonSyntaxError } from "../../src/lib/json-errors.ts";
import { membersOf, withMember, withoutMembers } from "../../src/lib/json-members.ts";
import type { PathPattern } from "../../src/lib/json-patterns.ts";
import { compilePatterns } from "../../src/lib/json-patterns.ts";
import { JsonSplitter } from "../../src/lib/json-splitter.ts";

const RUNS = { numRuns: 1000 };

/** A JSON text as it was generated. All text holds one byte per character (latin1), so that it may be broken UTF-8 too. */
type Tree =
  | { readonly kind: "scalar"; readonly text: string }
  | { readonly kind: "array"; readonly space: string; readonly items: readonly Tree[] }
  | { readonly kind: "object"; readonly space: string; readonly members: readonly (readonly [key: string, Tree])[] };

interface Patterns {
  readonly values: readonly PathPattern[];
  readonly containers: readonly PathPattern[];
}

type Path = readonly (string | number)[];
type Told =
  | readonly ["value", number, Path, string]
  | readonly ["open", number, Path, string]
  | readonly ["close", number, Path];

const utf8 = (text: string): string => Buffer.from(text).toString("latin1");
const bytesOf = (text: string): Buffer => Buffer.from(text, "latin1");
const parse = (text: string): unknown => JSON.parse(bytesOf(text).toString("utf8"));

const space = fc.constantFrom("", "", "", " ", "\n\t", "\r\n  ");
const stringPiece = fc.oneof(
  fc.string().map((text) => utf8(JSON.stringify(text).slice(1, -1))),
  fc.constantFrom('\\"', "\\\\", "\\/", "\\b\\f\\n\\r\\t", "\\u0000", "\\ud800", "\\uDFff\\ud83d\\ude00", "{[,:]}"),
  fc.constantFrom(utf8("😀"), utf8("é\u2028"), "\x7f", "\xff\xc3", "\xf0\x9f", "\xef\xbb\xbf"),
);
const stringText = fc.array(stringPiece, { maxLength: 4 }).map((pieces) => `"${pieces.join("")}"`);
const keyText = fc.oneof(
  { weight: 6, arbitrary: fc.constantFrom('"a"', '"b"', '"\\u0061"', '"\\u0062"') },
  { weight: 3, arbitrary: fc.constantFrom('""', '"*"', '"0"', '"__proto__"', '"_\\u005fproto__"', '"a\\u0000"') },
  { weight: 1, arbitrary: fc.oneof(stringText, fc.constant(`"${"k".repeat(3000)}"`)) },
);
const numberText = fc.oneof(
  fc.constantFrom("0", "-0", "-0.0e-0", "1e400", "-1E+7", "123456789012345678901234567890", "0.10", "7e-007"),
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => JSON.stringify(value)),
);
const scalar = fc
  .oneof(stringText, numberText, fc.constantFrom("true", "false", "null"))
  .map((text): Tree => ({ kind: "scalar", text }));

const {
  tree,
  object: objectTree,
  array: arrayTree,
} = fc.letrec<{ tree: Tree; array: Tree; object: Extract<Tree, { kind: "object" }> }>((tie) => ({
  tree: fc.oneof({ maxDepth: 5, withCrossShrink: true }, scalar, tie("object"), tie("object"), tie("array")),
  array: fc.record({
    kind: fc.constant("array" as const),
    space,
    items: fc.array(tie("tree"), { maxLength: 4, size: "max" }),
  }),
  object: fc.record({
    kind: fc.constant("object" as const),
    space,
    members: fc.array(fc.tuple(keyText, tie("tree")), { maxLength: 4, size: "max" }),
  }),
}));
const deepTree = fc.tuple(fc.nat({ max: 400 }), fc.boolean(), scalar).map(([depth, isObject, inner]) => {
  let nested: Tree = inner;
  for (let level = 0; level < depth; level++) {
    nested = isObject
      ? { kind: "object", space: "", members: [['"a"', nested]] }
      : { kind: "array", space: "", items: [nested] };
  }
  return nested;
});
const anyTree = fc.oneof(
  { weight: 2, arbitrary: tree },
  { weight: 12, arbitrary: fc.oneof(objectTree, arrayTree) },
  { weight: 1, arbitrary: deepTree },
);

const step = fc.oneof(
  { weight: 5, arbitrary: fc.constant("*") },
  { weight: 4, arbitrary: fc.constantFrom("a", "b") },
  { weight: 1, arbitrary: fc.constantFrom("__proto__", "", "0") },
);
const pattern = fc.oneof(
  { weight: 9, arbitrary: fc.array(step, { minLength: 1, maxLength: 4 }) },
  { weight: 1, arbitrary: fc.constant([]) },
);
const loosePatterns = fc.record({
  values: fc.array(pattern, { minLength: 1, maxLength: 4 }),
  containers: fc.array(pattern, { maxLength: 4 }),
});
/** Patterns of which none is at or below a value: those that would be are left out. */
const soundPatterns = loosePatterns.map((loose): Patterns => {
  const values: PathPattern[] = [];
  for (const value of loose.values) {
    if (!clash({ values: [...values, value], containers: [] })) values.push(value);
  }
  return { values, containers: loose.containers.filter((container) => !clash({ values, containers: [container] })) };
});

/** The shape of real use: a tree of containers with values at several depths. */
const usualPatterns: Patterns = {
  values: [["b"], ["a", "*", "b"], ["a", "*", "a", "*"], ["a", "*", "", "a"], ["__proto__", "*"]],
  containers: [["a", "*"], ["a"], [], ["a", "*", "a"]],
};
const patterns = fc.oneof(
  { weight: 3, arbitrary: soundPatterns },
  { weight: 1, arbitrary: fc.constant(usualPatterns) },
);

/** Sizes of the chunks, used again and again until the body is used up. */
const cuts = fc.oneof(
  fc.constantFrom([1], [Number.MAX_SAFE_INTEGER], [2, 1]),
  fc.array(fc.nat({ max: 20 }), { minLength: 1, maxLength: 12 }).map((sizes) => [...sizes, 1]),
);

function print(node: Tree): string {
  if (node.kind === "scalar") return node.text;
  const { space } = node;
  if (node.kind === "array") {
    return `[${space}${node.items.map(print).join(`${space},${space}`)}${space}]`;
  }
  const members = node.members.map(([key, value]) => `${key}${space}:${space}${print(value)}`);
  return `{${space}${members.join(`${space},${space}`)}${space}}`;
}

const matches = (pattern: PathPattern, path: Path): boolean =>
  pattern.length === path.length && pattern.every((step, index) => step === "*" || step === path[index]);

/** Whether some place would be at or below a value of another pattern. */
function clash({ values, containers }: Patterns): boolean {
  const all = [...values, ...containers];
  return values.some((value, index) =>
    all.some(
      (other, otherIndex) =>
        otherIndex !== index &&
        other.length >= value.length &&
        value.every((step, at) => step === "*" || other[at] === "*" || step === other[at]),
    ),
  );
}

/** What a splitter has to tell of `node`, told by walking the generated tree. */
function expected(node: Tree, { values, containers }: Patterns, path: Path = []): Told[] {
  const value = values.findIndex((pattern) => matches(pattern, path));
  if (value >= 0) return [["value", value, path, print(node)]];
  if (node.kind === "scalar") return [];
  const here = [...containers.keys()].filter((index) => matches(containers[index]!, path));
  const children =
    node.kind === "array"
      ? node.items.map((item, index) => [index, item] as const)
      : node.members.map(([key, member]) => [String(parse(key)), member] as const);
  return [
    ...here.map((index): Told => ["open", index, path, node.kind]),
    ...children.flatMap(([step, child]) => expected(child, { values, containers }, [...path, step])),
    ...here.map((index): Told => ["close", index, path]),
  ];
}

function split(body: Buffer, { values, containers }: Patterns, sizes: readonly number[]): Told[] {
  const told: (Exclude<Told, readonly ["value", ...unknown[]]> | readonly ["value", number, Path, Buffer])[] = [];
  const splitter = new JsonSplitter({
    patterns: compilePatterns(values, containers),
    onValue: (index, path, raw) => told.push(["value", index, path, raw]),
    onOpen: (index, path, kind) => told.push(["open", index, path, kind]),
    onClose: (index, path) => told.push(["close", index, path]),
  });
  for (let at = 0, turn = 0; at < body.length; turn++) {
    const size = sizes[turn % sizes.length]!;
    const chunk = Uint8Array.from(body.subarray(at, at + size));
    splitter.write(chunk);
    chunk.fill(0x21); // seen by whoever still looks at an earlier chunk
    at += size;
  }
  splitter.end();
  return told.map((one): Told => {
    if (one[0] !== "value") return one;
    const [what, index, path, raw] = one;
    return [what, index, path, raw.toString("latin1")];
  });
}

/**
 * Keeps the last of the members whose keys are the same once decoded, and none whose key has a backslash once decoded: after
 * V8 (seen in Node 24.21) has read such a key, `JSON.parse` takes some keys with escapes for it, so `{"b":0,"\\":1}` makes
 * `{"b":0,"\u0061":1}` another `{"b":0,"\\":1}`. Whether a body is accepted does not depend on that.
 */
function withPlainKeys(node: Tree): Tree {
  if (node.kind === "scalar") return node;
  if (node.kind === "array") return { ...node, items: node.items.map(withPlainKeys) };
  const members = new Map(
    node.members.map(([key, value]) => [String(parse(key)), [key, withPlainKeys(value)] as const]),
  );
  return { ...node, members: [...members].filter(([key]) => !key.includes("\\")).map(([, member]) => member) };
}

/** The values at the patterns in what `JSON.parse` made, by pattern and path. */
function walk(value: unknown, values: readonly PathPattern[], path: Path = []): [string, unknown][] {
  const index = values.findIndex((pattern) => matches(pattern, path));
  if (index >= 0) return [[JSON.stringify([index, path]), value]];
  if (typeof value !== "object" || value === null) return [];
  const children = Array.isArray(value) ? [...value.entries()] : Object.entries(value);
  return children.flatMap(([step, child]) => walk(child, values, [...path, step]));
}

test("what is handed out is every match of every pattern, raw and in order, however the body is cut", () => {
  const property = fc.property(anyTree, space, patterns, cuts, (node, around, patterns, sizes) => {
    const body = bytesOf(`${around}${print(node)}${around}`);
    expect(split(body, patterns, sizes)).toEqual(expected(node, patterns));
  });
  fc.assert(property, RUNS);
});

test("what is handed out parses to what JSON.parse of the whole body has at these paths", () => {
  const property = fc.property(anyTree, patterns, cuts, (node, patterns, sizes) => {
    const body = print(withPlainKeys(node));
    const parsed = split(bytesOf(body), patterns, sizes).flatMap(([what, index, path, raw]): [string, unknown][] =>
      what === "value" ? [[JSON.stringify([index, path]), parse(raw)]] : [],
    );
    const walked = walk(parse(body), patterns.values);
    expect(parsed.length).toBe(walked.length);
    expect(isDeepStrictEqual(new Map(parsed), new Map(walked))).toBe(true);
  });
  fc.assert(property, RUNS);
});

test("patterns are refused exactly when a place could be at or below a value of another", () => {
  const property = fc.property(loosePatterns, (patterns) => {
    const build = () => split(bytesOf("0"), patterns, [1]);
    if (clash(patterns)) expect(build).toThrow(InvariantError);
    else expect(build).not.toThrow();
  });
  fc.assert(property, RUNS);
});

const token = fc.constantFrom(
  ...["{", "}", "[", "]", ",", ":", '"', '"a"', '"a":', "\\", "\\u", "\\n", "1f", "0", "12", "-", "+", ".", "e", "E"],
  ...["true", "false", "null", "nul", "t", "NaN", "Infinity", " ", "\n", "\t", "\r", "\0", "\x1f", "\x7f", "\x0b"],
  ...["'", "//", "/**/", utf8("é"), utf8("\u2028"), "\x80", "\xff", "\xa0", "\xef\xbb\xbf", "[]", "{}", '{"a":1}'],
);
const soup = fc.array(token, { maxLength: 12 }).map((tokens) => tokens.join(""));
const anyByte = fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code));
type Edit = (text: string) => string;
const randomEdit = fc
  .record({ at: fc.nat(), removed: fc.nat({ max: 2 }), added: fc.oneof(fc.constant(""), token, anyByte) })
  .map(({ at, removed, added }): Edit => {
    return (text) => {
      const from = at % (text.length + 1);
      return text.slice(0, from) + added + text.slice(from + removed);
    };
  });
/** What is easily written wrong, as often in a long body, most of which is strings, as in a short one. */
const slip = fc
  .record({
    at: fc.nat(),
    mistake: fc.constantFrom<readonly [RegExp, string]>(
      ...([
        [/[}\]]/g, ",$&"],
        [/[{[]/g, "$&,"],
        [/,/g, ",,"],
        [/[,:]/g, " "],
        [/:/g, ","],
        [/,/g, ":"],
      ] as const),
      ...([
        [/\}/g, "]"],
        [/\]/g, "}"],
        [/[}\]]/g, "$&$&"],
        [/[}\]{["]/g, ""],
        [/"/g, "'"],
        [/\d/g, "0$&"],
      ] as const),
      ...([
        [/\\./g, "\\"],
        [/\\u./g, "\\u"],
        [/\d/g, "$&."],
        [/\d/g, "$&e"],
        [/"/g, '"\t'],
        [/[,\]]/g, '"$&'],
      ] as const),
    ),
  })
  .map(({ at, mistake: [find, replace] }): Edit => {
    return (text) => {
      const found = [...text.matchAll(find)];
      const match = found[at % found.length];
      if (match === undefined) return text;
      const [old] = match;
      return text.slice(0, match.index) + replace.replaceAll("$&", old) + text.slice(match.index + old.length);
    };
  });
const edited = fc
  .tuple(tree, fc.array(fc.oneof(randomEdit, slip), { minLength: 1, maxLength: 2 }))
  .map(([node, edits]) => edits.reduce((text, edit) => edit(text), print(node)));
const cutOff = fc.tuple(tree, fc.nat()).map(([node, at]) => print(node).slice(0, at % (print(node).length + 1)));
const numberLike = fc
  .array(fc.constantFrom("-", "+", "0", "1", "9", ".", "e", "E"), { minLength: 1, maxLength: 6 })
  .map((signs) => signs.join(""));
const brokenText = fc.oneof(
  edited,
  edited,
  cutOff,
  soup,
  numberLike,
  numberLike.map((text) => `[${text}]`),
);

/** The error of `work`; `undefined` when there was none. */
function errorOf(work: () => unknown): unknown {
  try {
    work();
    return undefined;
  } catch (error) {
    return error;
  }
}

test("a broken body is refused exactly when JSON.parse refuses it, at the same byte however it is cut", () => {
  const property = fc.property(brokenText, patterns, cuts, (text, patterns, sizes) => {
    const body = bytesOf(text);
    const error = errorOf(() => split(body, patterns, sizes));
    if (errorOf(() => parse(text)) === undefined) {
      expect(error).toBeUndefined();
    } else {
      expect(error).toBeInstanceOf(JsonSyntaxError);
      expect(errorOf(() => split(body, { values: [], containers: [] }, [body.length + 1]))).toEqual(error);
    }
  });
  fc.assert(property, { numRuns: 4 * RUNS.numRuns });
});

test("the members of an object are its keys and raw values in order", () => {
  const property = fc.property(objectTree, space, (node, around) => {
    const object = bytesOf(`${around}${print(node)}${around}`);
    const raw = (from: number, to: number): string => object.toString("latin1", from, to);
    const members = membersOf(object).map(({ key, start, valueStart, valueEnd }) => ({
      key,
      value: raw(valueStart, valueEnd),
      whole: raw(start, valueEnd),
    }));
    const told = node.members.map(([key, value]) => ({
      key: parse(key),
      value: print(value),
      whole: `${key}${node.space}:${node.space}${print(value)}`,
    }));
    expect(members).toEqual(told);
  });
  fc.assert(property, RUNS);
});

test("an object without some members is the object as if it had been written without them", () => {
  const property = fc.property(objectTree, fc.func(fc.boolean()), (node, drop) => {
    const object = bytesOf(print(node));
    const kept = node.members.filter(([key]) => !drop(String(parse(key))));
    const spliced = withoutMembers(object, drop);
    if (kept.length === node.members.length) expect(spliced).toBe(object);
    else if (kept.length > 0) expect(spliced.toString("latin1")).toBe(print({ ...node, members: kept }));
    else expect(parse(spliced.toString("latin1"))).toEqual({});
  });
  fc.assert(property, RUNS);
});

test("an object with a member more has it last", () => {
  const property = fc.property(objectTree, fc.string({ unit: "binary" }), tree, (node, key, value) => {
    const object = withMember(bytesOf(print(node)), key, bytesOf(print(value)));
    const members = membersOf(object);
    const last = members.at(-1)!;
    expect(members).toHaveLength(node.members.length + 1);
    expect([last.key, object.toString("latin1", last.valueStart, last.valueEnd)]).toEqual([key, print(value)]);
    expect(members.slice(0, -1)).toEqual(membersOf(bytesOf(print(node))));
    expect(errorOf(() => parse(object.toString("latin1")))).toBeUndefined();
  });
  fc.assert(property, RUNS);
});
