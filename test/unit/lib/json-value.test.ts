import { describe, expect, test } from "@jest/globals";
import { isJsonObject, isStorableText, parseJson, textAt } from "../../../src/lib/json-value.ts";

const parse = (text: string) => parseJson(Buffer.from(text));

test("JSON is parsed, and what is none is undefined", () => {
  expect(parse('{"a":[1,null]}')).toEqual({ a: [1, null] });
  expect(parse("null")).toBeNull();
  for (const text of ["", "{", "undefined", "{'a':1}"]) expect(parse(text)).toBeUndefined();
});

test("an object is neither null nor an array", () => {
  expect([{}, { a: 1 }, parse('{"__proto__":1}')].map(isJsonObject)).toEqual([true, true, true]);
  expect([null, [], "x", 5, undefined].some(isJsonObject)).toBe(false);
});

describe("a text of an object", () => {
  test("is there when the object itself has it", () => {
    expect(textAt({ a: "x", b: 5 }, "a")).toBe("x");
    expect(textAt({ a: "x", b: 5 }, "b")).toBeUndefined();
    expect(textAt({}, "a")).toBeUndefined();
  });

  test("is not what the object inherits", () => {
    expect(textAt(Object.create({ a: "x" }) as object as Record<string, unknown>, "a")).toBeUndefined();
  });

  test("can be stored unless it has NUL or half a character", () => {
    expect(["", "é😀", "\u0001"].every(isStorableText)).toBe(true);
    expect(["a\0", "\ud83d", "\ude00", "\ude00\ud83d"].some(isStorableText)).toBe(false);
  });
});
