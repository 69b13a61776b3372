import { expect, test } from "@jest/globals";
import { ClientError } from "../../../src/model/client-error.ts";
import type { RoomId, UserId } from "../../../src/model/ids.ts";
import { createSimplifiedMsc3575 } from "../../../src/protocol/simplified-msc3575/simplified-msc3575.ts";
import { alice, NO_FILTERS } from "../../support/engine.ts";

const dialect = createSimplifiedMsc3575({ maxTimelineLimit: 50, withOps: false });

const parse = (body: unknown, query: string | Record<string, string> = "") =>
  dialect.parse(new URLSearchParams(query), body, alice);

const list = (fields: object) => parse({ lists: { all: { timeline_limit: 1, required_state: [], ...fields } } });

const parsedList = (fields: object) => list(fields).lists.get("all");

function refusal(ask: () => unknown): ClientError {
  try {
    ask();
  } catch (error) {
    if (error instanceof ClientError) return error;
    throw error;
  }
  throw new Error("nothing was refused");
}

test("the request of Element X's room list is read in the engine's words", () => {
  const state = [
    ["m.room.name", ""],
    ["m.room.member", "$LAZY"],
    ["m.room.member", "$ME"],
    ["m.space.child", "*"],
  ];
  const config = {
    timelineLimit: 1,
    requiredState: {
      selectors: [
        { type: "m.room.name", stateKey: "" },
        { type: "m.room.member", stateKey: alice },
        { type: "m.space.child", stateKey: undefined },
      ],
      lazyMembers: true,
    },
  };
  const body = {
    conn_id: "room-list",
    lists: { all_rooms: { ranges: [[0, 19]], timeline_limit: 1, required_state: state, filters: {} } },
    room_subscriptions: { "!a:b": { timeline_limit: 20, required_state: state } },
    extensions: { to_device: { enabled: true, since: "-17" }, e2ee: { enabled: true }, other: { enabled: true } },
  };
  expect(parse(body, "pos=7%2Fx&timeout=30000")).toEqual({
    connId: "room-list",
    pos: "7/x",
    timeoutMs: 30_000,
    lists: new Map([["all_rooms", { ranges: [{ first: 0, last: 19 }], filters: NO_FILTERS, config }]]),
    subscriptions: new Map([["!a:b", { ...config, timelineLimit: 20 }]]),
    subscriptionMode: "replace",
    unsubscribed: [],
    needsWindows: false,
    extensions: { toDevice: { since: 17, limit: 100 }, e2ee: true },
  });
});

test("an empty request is a first request that asks for nothing", () => {
  expect(parse({})).toEqual({
    connId: "",
    pos: undefined,
    timeoutMs: 0,
    lists: new Map(),
    subscriptions: new Map(),
    subscriptionMode: "keep",
    unsubscribed: [],
    needsWindows: false,
    extensions: {},
  });
});

test("pos and timeout may stand in the body, and those in the query win", () => {
  expect(parse({ pos: "body", timeout: 5 })).toMatchObject({ pos: "body", timeoutMs: 5 });
  expect(parse({ pos: "body", timeout: 5 }, "pos=query&timeout=7")).toMatchObject({ pos: "query", timeoutMs: 7 });
  expect(parse({}, "pos=").pos).toBe("");
});

test.each<readonly [string, object, unknown]>([
  ["no ranges", {}, "all"],
  ["null", { ranges: null }, "all"],
  ["an empty array", { ranges: [] }, []],
  ["a range that ends before it begins", { ranges: [[5, 2]] }, [{ first: 5, last: 2 }]],
  [
    "overlapping ranges",
    {
      ranges: [
        [0, 5],
        [3, 9],
      ],
    },
    [
      { first: 0, last: 5 },
      { first: 3, last: 9 },
    ],
  ],
])("ranges are read: %s", (_name, fields, expected) => {
  expect(parsedList(fields)?.ranges).toEqual(expected);
});

test("filters are read, null and unknown keys count as left out", () => {
  const types = { room_types: ["m.space", null], not_room_types: [] };
  const lists = { tags: ["m.favourite"], not_tags: [], spaces: ["!space:example.org", "not a room"] };
  const filters = { is_dm: true, is_invite: false, is_encrypted: true, ...types, ...lists };
  expect(parsedList({ filters: { ...filters, new_key: 7 } })?.filters).toEqual({
    isDm: true,
    isInvite: false,
    isEncrypted: true,
    roomTypes: ["m.space", null],
    notRoomTypes: [],
    tags: ["m.favourite"],
    notTags: [],
    spaces: ["!space:example.org"],
  });
  const nulls = { is_invite: null, is_encrypted: null, room_types: null, not_room_types: null, is_dm: null };
  expect(parsedList({ filters: nulls })?.filters).toEqual(NO_FILTERS);
  expect(parsedList({ filters: null })?.filters).toEqual(NO_FILTERS);
});

test("what clients leave out is tolerated", () => {
  const config = { timelineLimit: 0, requiredState: { selectors: [], lazyMembers: false } };
  expect(parse({ lists: { all: {} } }).lists.get("all")?.config).toEqual(config);
  expect(parse({ lists: null, room_subscriptions: null, conn_id: null, extensions: null, sort: 1 }).lists.size).toBe(0);
});

test("what other dialects and extensions know is ignored, whatever it holds", () => {
  const unknown = { txn_id: "x".repeat(100), delta_token: 7, extensions: { new_extension: 1 }, bump_event_types: null };
  expect(parse(unknown, "set_presence=asleep&filter=1")).toEqual(parse({}));
  expect(list({ sort: 7, slow_get_all_rooms: "x", bump_event_types: {} })).toEqual(list({}));
});

test("several hundred subscriptions, long keys and long conn_ids are taken", () => {
  const rooms = Array.from({ length: 500 }, (_, index) => [`!room${index}:b`, { timeline_limit: 1 }] as const);
  expect(parse({ room_subscriptions: Object.fromEntries(rooms) }).subscriptions.size).toBe(500);
  const key = "k".repeat(64);
  const emoji = "😀".repeat(64);
  expect([...parse({ lists: { [key]: {}, [emoji]: {}, "": {} } }).lists.keys()]).toEqual([key, emoji, ""]);
  expect(parse({ conn_id: "x".repeat(255) }).connId).toBe("x".repeat(255));
});

test("a timeline limit is capped without a word", () => {
  expect(parsedList({ timeline_limit: 1000 })?.config.timelineLimit).toBe(50);
});

test.each<readonly [readonly (readonly [string, string])[], object]>([
  [[["*", "*"]], { selectors: [{ type: undefined, stateKey: undefined }], lazyMembers: false }],
  [[["*", "$ME"]], { selectors: [{ type: undefined, stateKey: alice }], lazyMembers: false }],
  [[["m.room.topic", "$LAZY"]], { selectors: [{ type: "m.room.topic", stateKey: "$LAZY" }], lazyMembers: false }],
  [[["m.room.member", "$LAZY"]], { selectors: [], lazyMembers: true }],
  [
    [
      ["m.room.member", "@a:b\0"],
      ["m.room.name\0", "*"],
      ["m.room.topic", "\ud800"],
    ],
    { selectors: [], lazyMembers: false },
  ],
])("required state %j is %j", (required_state, expected) => {
  expect(parsedList({ required_state })?.config.requiredState).toEqual(expected);
});

test("an integer that is too large for JavaScript stands for the largest one", () => {
  const huge = JSON.parse("18446744073709551615");
  const most = Number.MAX_SAFE_INTEGER;
  expect(parsedList({ timeline_limit: huge })?.config.timelineLimit).toBe(50);
  expect(parsedList({ ranges: [[0, huge]] })?.ranges).toEqual([{ first: 0, last: most }]);
  expect(parse({}, `timeout=${huge}`).timeoutMs).toBe(most);
  expect(parse({}, `timeout=${"9".repeat(400)}`).timeoutMs).toBe(most);
  expect(parse({ timeout: huge }).timeoutMs).toBe(most);
});

test("equal configs are one object, also in different requests", () => {
  const wanted = { timeline_limit: 20, required_state: [["m.room.name", ""]] };
  const requests = [{ "!a:b": wanted, "!c:d": { ...wanted } }, { "!e:f": wanted }].map((rooms) =>
    parse({ room_subscriptions: rooms }),
  );
  expect(new Set(requests.flatMap(({ subscriptions }) => [...subscriptions.values()])).size).toBe(1);
  const other = parse({ room_subscriptions: { "!a:b": { ...wanted, timeline_limit: 21 } } });
  expect(other.subscriptions.get("!a:b" as RoomId)?.timelineLimit).toBe(21);
});

test("what one user wrote means to another what they wrote, and what is wrong stays wrong", () => {
  const configOf = (wanted: object, reader: UserId) =>
    dialect.parse(new URLSearchParams(), { room_subscriptions: { "!a:b": wanted } }, reader).subscriptions.values();
  const own = { timeline_limit: 3, required_state: [["m.room.member", "$ME"]] };
  for (const reader of [alice, "@al:test" as UserId, `${alice}3` as UserId, alice]) {
    const selectors = [{ type: "m.room.member", stateKey: reader }];
    const requiredState = { selectors, lazyMembers: false };
    expect([...configOf(own, reader)]).toEqual([{ timelineLimit: 3, requiredState }]);
    expect([...configOf({ required_state: own.required_state }, reader)]).toEqual([
      { timelineLimit: 0, requiredState },
    ]);
  }
  expect([...configOf({ timeline_limit: 7 }, alice)][0]?.timelineLimit).toBe(7);
  expect(refusal(() => configOf({ required_state: 7 }, alice)).errcode).toBe("M_BAD_JSON");
  expect(refusal(() => configOf({ timeline_limit: own.required_state }, alice)).errcode).toBe("M_BAD_JSON");
});

test("rooms that cannot be rooms are passed over", () => {
  const wanted = { timeline_limit: 1 };
  const subscriptions = { "!v12": wanted, "#alias:b": wanted, "": wanted };
  const unsubscribe_rooms = ["!a:b", 7, null, "x"];
  const request = parse({ room_subscriptions: subscriptions, unsubscribe_rooms });
  expect([...request.subscriptions.keys()]).toEqual(["!v12"]);
  expect(request.unsubscribed).toEqual(["!a:b"]);
  expect(parse({ unsubscribe_rooms: "all" }).unsubscribed).toEqual([]);
});

test("keys that mean something to JavaScript mean nothing here", () => {
  const body = JSON.parse('{"lists":{"__proto__":{"timeline_limit":2},"constructor":{}},"__proto__":{"pos":"x"}}');
  const request = parse(body);
  expect([...request.lists.keys()]).toEqual(["__proto__", "constructor"]);
  expect(request.pos).toBeUndefined();
  expect(Object.hasOwn(Object.prototype, "timeline_limit")).toBe(false);
});

const tooMany = Object.fromEntries(Array.from({ length: 101 }, (_, index) => [`list${index}`, {}]));

test.each<readonly [string, unknown, string, string]>([
  ["a body that is no object", [], "M_BAD_JSON", "The body"],
  ["a body that is null", null, "M_BAD_JSON", "The body"],
  ["pos that is no string", { pos: 7 }, "M_BAD_JSON", "pos"],
  ["timeout that is negative", { timeout: -1 }, "M_INVALID_PARAM", "timeout"],
  ["conn_id that is no string", { conn_id: 7 }, "M_BAD_JSON", "conn_id"],
  ["conn_id that is too long", { conn_id: "x".repeat(256) }, "M_INVALID_PARAM", "conn_id"],
  ["conn_id that no database can hold", { conn_id: "a\0b" }, "M_INVALID_PARAM", "conn_id"],
  ["conn_id that is half a character", { conn_id: "\ud800" }, "M_INVALID_PARAM", "conn_id"],
  ["lists that are no object", { lists: [] }, "M_BAD_JSON", "lists"],
  ["too many lists", { lists: tooMany }, "M_INVALID_PARAM", "lists"],
  ["a list's key that is too long", { lists: { ["k".repeat(65)]: {} } }, "M_INVALID_PARAM", "lists.kkk"],
  ["a list's key of too many emoji", { lists: { ["😀".repeat(65)]: {} } }, "M_INVALID_PARAM", "lists."],
  ["a list that is no object", { lists: { all: 1 } }, "M_BAD_JSON", "lists.all"],
  ["a subscription that is no object", { room_subscriptions: { "!a:b": [] } }, "M_BAD_JSON", "room_subscriptions.!a:b"],
])("%s is refused, and the message names the field", (_name, body, errcode, field) => {
  const { errcode: got, message } = refusal(() => parse(body));
  expect(got).toBe(errcode);
  expect(message.startsWith(field)).toBe(true);
});

test.each<readonly [object, string, string]>([
  [{ ranges: [0, 10] }, "M_BAD_JSON", "ranges[0]"],
  [{ ranges: [[0]] }, "M_BAD_JSON", "ranges[0]"],
  [{ ranges: [[0, 1, 2]] }, "M_BAD_JSON", "ranges[0]"],
  [{ ranges: [["0", "1"]] }, "M_BAD_JSON", "ranges[0][0]"],
  [{ ranges: [[0, 1.5]] }, "M_BAD_JSON", "ranges[0][1]"],
  [{ ranges: [[-1, 5]] }, "M_INVALID_PARAM", "ranges[0][0]"],
  [{ ranges: Array(101).fill([0, 1]) }, "M_INVALID_PARAM", "ranges"],
  [{ timeline_limit: -1 }, "M_INVALID_PARAM", "timeline_limit"],
  [{ timeline_limit: "1" }, "M_BAD_JSON", "timeline_limit"],
  [{ timeline_limit: null }, "M_BAD_JSON", "timeline_limit"],
  [{ timeline_limit: 0.5 }, "M_BAD_JSON", "timeline_limit"],
  [{ timeline_limit: -1e30 }, "M_INVALID_PARAM", "timeline_limit"],
  [{ required_state: {} }, "M_BAD_JSON", "required_state"],
  [{ required_state: [["m.room.name"]] }, "M_BAD_JSON", "required_state[0]"],
  [{ required_state: [["a", "b", "c"]] }, "M_BAD_JSON", "required_state[0]"],
  [{ required_state: [["a", 1]] }, "M_BAD_JSON", "required_state[0][1]"],
  [{ filters: [] }, "M_BAD_JSON", "filters"],
  [{ filters: { is_invite: "yes" } }, "M_BAD_JSON", "filters.is_invite"],
  [{ filters: { is_dm: 1 } }, "M_BAD_JSON", "filters.is_dm"],
  [{ filters: { tags: "x" } }, "M_BAD_JSON", "filters.tags"],
  [{ filters: { spaces: [1] } }, "M_BAD_JSON", "filters.spaces[0]"],
  [{ filters: { room_types: ["m.space", 1] } }, "M_BAD_JSON", "filters.room_types[1]"],
])("in a list, %j is %s at %s", (fields, errcode, field) => {
  const { errcode: got, message } = refusal(() => list(fields));
  expect(got).toBe(errcode);
  expect(message.startsWith(`lists.all.${field} `)).toBe(true);
});

test.each(["-1", "soon", "1.5", "", "1e3"])("timeout=%s is refused", (timeout) => {
  expect(refusal(() => parse({}, { timeout })).errcode).toBe("M_INVALID_PARAM");
});
