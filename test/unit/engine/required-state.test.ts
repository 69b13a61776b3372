import { expect, test } from "@jest/globals";
import { covers, difference, matches, union } from "../../../src/engine/required-state.ts";
import { toldRequiredState } from "../../../src/engine/rooms/room-config.ts";
import type { StateEvent } from "../../../src/model/stored-event.ts";
import { requiredState as state, TestWorld } from "../../support/engine.ts";

const shown = ({ selectors, lazyMembers }: ReturnType<typeof state>): readonly string[] => [
  ...selectors.map(({ type, stateKey }) => `${type ?? "*"} ${stateKey ?? "*"}`.trim()),
  ...(lazyMembers ? ["lazy"] : []),
];

test.each([
  [["m.room.name"], "m.room.name", "", true],
  [["m.room.name"], "m.room.topic", "", false],
  [["m.room.name"], "m.room.name", "other", false],
  [["m.space.child *"], "m.space.child", "!room", true],
  [["* @alice"], "m.room.member", "@alice", true],
  [["* @alice", "lazy"], "m.room.member", "@alice", false],
  [["* @alice", "lazy"], "org.example.status", "@alice", true],
  [["* *"], "m.room.member", "@bob", true],
  [["* *", "lazy"], "m.room.member", "@bob", false],
  [["* *", "m.room.member @bob", "lazy"], "m.room.member", "@bob", true],
  [["lazy"], "m.room.member", "@bob", false],
  [[], "m.room.name", "", false],
] as const)("%j matches %s %j: %s", (entries, type, stateKey, isMatched) => {
  expect(matches(state(...entries), type, stateKey)).toBe(isMatched);
  expect(matches(union([state(...entries)]), type, stateKey)).toBe(isMatched);
});

test.each([
  [
    [["m.room.name"], ["m.room.topic"]],
    ["m.room.name", "m.room.topic"],
  ],
  [[["m.room.name"], ["m.room.name"]], ["m.room.name"]],
  [[["m.space.child !a"], ["m.space.child *"]], ["m.space.child *"]],
  [
    [["m.room.name"], ["* *", "lazy"]],
    ["* *", "lazy"],
  ],
  [
    [["m.room.member @me"], ["* *", "lazy"]],
    ["m.room.member @me", "* *", "lazy"],
  ],
  [
    [["lazy"], ["m.room.name"]],
    ["m.room.name", "lazy"],
  ],
  [[["lazy"], ["m.room.member *"]], ["m.room.member *"]],
  [
    [["m.room.name", "lazy"], ["* *"]],
    ["* *", "m.room.member *"],
  ],
  [
    [["* @me", "lazy"], ["* @me"]],
    ["* @me", "m.room.member @me", "lazy"],
  ],
  [
    [["* "], ["m.room.name"]],
    ["*", "m.room.member"],
  ],
  [[], []],
] as const)("the union of %j is %j", (parts, expected) => {
  const joined = shown(union(parts.map((entries) => state(...entries))));
  expect([...joined].sort()).toEqual([...expected].sort());
});

test.each([
  [["m.room.name"], ["m.room.name"], []],
  [["m.room.name"], ["m.room.name", "m.room.topic"], ["m.room.topic"]],
  [["m.space.child *"], ["m.space.child !a"], []],
  [["m.space.child !a"], ["m.space.child *"], ["m.space.child *"]],
  [["* *"], ["m.room.member @bob", "* *", "m.room.name"], []],
  [["* *", "lazy"], ["* *"], ["m.room.member *"]],
  [["* *", "lazy"], ["* *", "lazy"], []],
  [["* *"], ["* *", "lazy"], []],
  [["m.room.name"], ["* *", "lazy"], ["* *"]],
] as const)("what %j lacks of %j is %j", (told, wanted, expected) => {
  const from = union([state(...told)]);
  const to = union([state(...wanted)]);
  expect(shown({ selectors: difference(from, to), lazyMembers: false })).toEqual(expected);
  expect(covers(from, to)).toBe(expected.length === 0);
});

test("a union of many selectors is made in one pass", () => {
  const many = Array.from({ length: 50_000 }, (_, index) => `m.room.member @user${index}`);
  expect(union([state(...many), state(...many)]).selectors).toHaveLength(50_000);
});

const topicChanged = (): readonly StateEvent[] => [new TestWorld().emptyRoom().setState("m.room.topic") as StateEvent];

test.each([
  [["m.room.name", "m.room.topic"], ["m.room.name"], true, ["m.room.name"]],
  [["* *"], ["m.room.name"], true, ["m.room.member *", "m.room.name"]],
  [["m.room.name", "m.room.topic"], ["m.room.avatar"], false, ["m.room.avatar", "m.room.name", "m.room.topic"]],
  [["m.room.name", "lazy"], ["m.room.name"], false, ["m.room.name"]],
  [["* *", "lazy"], ["m.room.name"], false, ["m.room.name"]],
] as const)("told %j and asked for %j (topic missed: %s), a client has %j", (told, wanted, isMissed, expected) => {
  const missed = isMissed ? topicChanged() : [];
  const now = toldRequiredState(union([state(...told)]), union([state(...wanted)]), missed, true);
  expect([...shown(now)].sort()).toEqual(expected);
});

test("what was told stays the same object while nothing is added to it", () => {
  const told = union([state("m.room.name", "m.room.topic", "lazy")]);
  expect(toldRequiredState(told, union([state("m.room.name", "lazy")]), [], true)).toBe(told);
});

test("a client that names ever new state makes no connection grow without end", () => {
  const names = (first: number) => Array.from({ length: 200 }, (_, index) => `m.space.child !${first + index}`);
  const told = toldRequiredState(union([state(...names(0))]), union([state(...names(200))]), [], true);
  expect(told.selectors).toHaveLength(200);
});
