import { expect, test } from "@jest/globals";
import { InvariantError } from "../../../src/lib/invariant.ts";
import { membersOf, withMember, withoutMembers } from "../../../src/lib/json-members.ts";

const members = (object: string): [string, string, string][] => {
  const bytes = Buffer.from(object);
  return membersOf(bytes).map(({ key, start, valueStart, valueEnd }) => [
    key,
    bytes.toString("utf8", start, valueEnd),
    bytes.toString("utf8", valueStart, valueEnd),
  ]);
};

test("members are read at the top only, with decoded keys, repeated ones too", () => {
  const object = ' { "a" : {"b":[1,"}"],"a":"\\"]"} , "\\u0061":-1.5e3 ,"":null,"é😀":"x,}" } ';
  expect(members(object)).toEqual([
    ["a", '"a" : {"b":[1,"}"],"a":"\\"]"}', '{"b":[1,"}"],"a":"\\"]"}'],
    ["a", '"\\u0061":-1.5e3', "-1.5e3"],
    ["", '"":null', "null"],
    ["é😀", '"é😀":"x,}"', '"x,}"'],
  ]);
});

test.each([["{}"], [" {\n} "]])("an empty object has no members: %j", (object) => {
  expect(members(object)).toEqual([]);
});

test("a string ends at its first quote that is not escaped", () => {
  expect(members('{"a\\\\":"\\\\","b":"\\\\\\""}')).toEqual([
    ["a\\", '"a\\\\":"\\\\"', '"\\\\"'],
    ["b", '"b":"\\\\\\""', '"\\\\\\""'],
  ]);
});

test.each([
  [""],
  ["[1]"],
  ['"a"'],
  ["{"],
  ['{"a'],
  ['{"a":1'],
  ['{"a":[1'],
  ['{"a" 1}'],
  ['{"a":1 "b":2}'],
])("what is no whole object has no members but throws: %j", (bytes) => {
  expect(() => membersOf(Buffer.from(bytes))).toThrow(InvariantError);
});

test.each([
  ['{"a":1,"b":2,"c":3}', "a", '{"b":2,"c":3}'],
  ['{"a":1,"b":2,"c":3}', "b", '{"a":1,"c":3}'],
  ['{"a":1,"b":2,"c":3}', "c", '{"a":1,"b":2}'],
  ['{"a":1,"b":2,"c":3}', "ab", '{"c":3}'],
  ['{"a":1,"b":2,"c":3}', "ac", '{"b":2}'],
  ['{"a":1,"b":2,"c":3}', "bc", '{"a":1}'],
  ['{"a":1,"b":2,"c":3}', "abc", "{}"],
  ['{"a":1}', "a", "{}"],
  ['{"a":1,"b":{"a":1},"\\u0061":2}', "a", '{"b":{"a":1}}'],
  ['{ "a": 1,\n  "b": 2,\n  "c": 1e2 }', "b", '{ "a": 1,\n  "c": 1e2 }'],
])("%s without %s is %s", (object, keys, left) => {
  expect(withoutMembers(Buffer.from(object), (key) => keys.includes(key)).toString()).toBe(left);
});

test("an object that loses nothing stays the same buffer", () => {
  for (const object of [Buffer.from('{"a":1}'), Buffer.from("{}")]) {
    expect(withoutMembers(object, (key) => key === "b")).toBe(object);
  }
});

test.each([
  ["{}", "a", "1", '{"a":1}'],
  [" { } ", "a", "[]", ' { "a":[]} '],
  ['{"a":1}', "b", '{"c":"}"}', '{"a":1,"b":{"c":"}"}}'],
  ['{"a":1}', "a", "2", '{"a":1,"a":2}'],
  ['{"a":{}}', '"\n\ud800é', "null", '{"a":{},"\\"\\n\\ud800é":null}'],
])("%s with %j is extended", (object, key, value, extended) => {
  expect(withMember(Buffer.from(object), key, Buffer.from(value)).toString()).toBe(extended);
});
