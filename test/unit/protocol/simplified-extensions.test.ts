import { expect, test } from "@jest/globals";
import type { ExtensionsResponse } from "../../../src/engine/response.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { createSimplifiedMsc3575 } from "../../../src/protocol/simplified-msc3575/simplified-msc3575.ts";
import { alice, bob, carol, request } from "../../support/engine.ts";
import { NO_EXTENSION } from "../../support/engine-nothing.ts";

const ROOM = "!room:example.org" as RoomId;

const dialect = createSimplifiedMsc3575({ maxTimelineLimit: 50, withOps: false });

const asked = (extensions: unknown) => dialect.parse(new URLSearchParams(), { extensions }, alice).extensions;

const toDevice = (fields: object) => asked({ to_device: { enabled: true, ...fields } }).toDevice;

function said(extensions: Partial<ExtensionsResponse>): Record<string, unknown> {
  const response = {
    lists: new Map(),
    rooms: [],
    extensions: { ...NO_EXTENSION, ...extensions },
  };
  return JSON.parse(Buffer.concat(dialect.encode(response, "pos", request())).toString()).extensions;
}

test.each([
  ["nothing", undefined],
  ["null", null],
  ["an empty object", {}],
  ["extensions that are switched off", { to_device: { enabled: false }, e2ee: { enabled: null } }],
  ["extensions that are not offered", { "org.example.other": { enabled: true }, presence: 7 }],
])("%s asks for none", (_what, extensions) => {
  const { toDevice: messages, e2ee } = asked(extensions);
  expect([messages, e2ee]).toEqual([undefined, undefined]);
});

test.each([
  ["-17", 17],
  ["-9007199254740991", 9_007_199_254_740_991],
  ["-0", 0],
])("the to-device token %s is ours", (since, sequence) => {
  expect(toDevice({ since })).toEqual({ since: sequence, limit: 100 });
});

test.each([
  "17",
  "0",
  "s17_3",
  "",
  "-",
  "--17",
  "-17x",
  "-9007199254740992",
  "-99999999999999999999",
])("the to-device token %j is from elsewhere: everything is wanted", (since) => {
  expect(toDevice({ since })).toEqual({ since: undefined, limit: 100 });
});

test.each([
  [undefined, 100],
  [null, 100],
  [0, 1],
  [1, 1],
  [100, 100],
  [1_000_000, 100],
])("with the limit %j there are at most %i messages", (limit, most) => {
  expect(toDevice({ limit })?.limit).toBe(most);
});

test.each([
  [{ to_device: { enabled: "yes" } }, "extensions.to_device.enabled must be true or false"],
  [{ to_device: { enabled: true, since: 17 } }, "extensions.to_device.since must be a string"],
  [{ to_device: { enabled: true, limit: -1 } }, "extensions.to_device.limit must not be negative"],
  [{ e2ee: [] }, "extensions.e2ee must be an object"],
  [{ receipts: { enabled: true, rooms: "*" } }, "extensions.receipts.rooms must be an array"],
])("%j is refused, with the name of the field", (extensions, message) => {
  expect(() => asked(extensions)).toThrow(message);
});

const ROOM_EXTENSIONS = ["account_data", "receipts", "typing"];

test.each([
  [{}, "all", "all"],
  [{ lists: null, rooms: null }, [], []],
  [{ lists: [], rooms: [] }, [], []],
  [{ rooms: ["*"] }, "all", "all"],
  [{ lists: ["a", "*", "b"], rooms: ["!a:b", 7, "*"] }, "all", "all"],
  [{ lists: ["a", null, "__proto__"], rooms: ["!a:b", "no room", {}, null] }, ["a", "__proto__"], ["!a:b"]],
])("of room extensions with %j: lists %j, rooms %j", (fields, lists, rooms) => {
  const extensions = Object.fromEntries(ROOM_EXTENSIONS.map((name) => [name, { enabled: true, ...fields }]));
  const setOf = (names: string | readonly string[]) => (typeof names === "string" ? names : new Set(names));
  const scope = { lists: setOf(lists), rooms: setOf(rooms) };
  expect(asked(extensions)).toMatchObject({ accountData: scope, receipts: scope, typing: scope });
});

test.each(ROOM_EXTENSIONS)("%s that is switched off is not asked for, whatever else it says", (name) => {
  const { accountData, receipts, typing } = asked({ [name]: { lists: ["*"], rooms: ["*"] } });
  expect([accountData, receipts, typing]).toEqual([undefined, undefined, undefined]);
});

test("room extensions without anything have the keys that homeservers send", () => {
  const rooms = new Map();
  expect(said({ accountData: { global: [], rooms }, receipts: { rooms }, typing: { rooms } })).toEqual({
    account_data: { global: [], rooms: {} },
    receipts: { rooms: {} },
    typing: { rooms: {} },
  });
});

test("account data is sent as it came", () => {
  const events = ['{"type":"m.tag","content":{"n":1.0}}', '{"type":"b","content":{}}'].map((text) => Buffer.from(text));
  const accountData = { global: events, rooms: new Map([[ROOM, events.slice(0, 1)]]) };
  expect(said({ accountData })).toEqual({
    account_data: {
      global: [
        { type: "m.tag", content: { n: 1 } },
        { type: "b", content: {} },
      ],
      rooms: { [ROOM]: [{ type: "m.tag", content: { n: 1 } }] },
    },
  });
});

test("receipts and typing are whole events, and a key may be any text", () => {
  const receipt = { eventId: "$e", type: "m.read", userId: alice, tsMs: 5, threadId: undefined };
  const receipts = [
    receipt,
    { ...receipt, userId: bob, threadId: "main" },
    { ...receipt, type: "__proto__", eventId: "__proto__", userId: carol, tsMs: -1 },
  ];
  const rooms = new Map([[ROOM, receipts]]);
  const typing = { rooms: new Map([[ROOM, [alice, bob]]]) };
  const content = `{"$e":{"m.read":{"${alice}":{"ts":5},"${bob}":{"ts":5,"thread_id":"main"}}},
    "__proto__":{"__proto__":{"${carol}":{"ts":0}}}}`;
  expect(said({ receipts: { rooms }, typing })).toEqual({
    receipts: { rooms: { [ROOM]: { type: "m.receipt", content: JSON.parse(content) } } },
    typing: { rooms: { [ROOM]: { type: "m.typing", content: { user_ids: [alice, bob] } } } },
  });
});

test("an extension that was not asked for is not named", () => {
  expect(said({})).toEqual({});
});

test("to-device messages are sent as they came, with a token that is a negative number", () => {
  const events = ['{"type":"a","content":{"n":1.0}}', '{"type":"b"}'].map((text) => Buffer.from(text));
  const response = said({ toDevice: { events, nextBatch: 9_007_199_254_740_991 } });
  expect(response).toEqual({
    to_device: { next_batch: "-9007199254740991", events: [{ type: "a", content: { n: 1 } }, { type: "b" }] },
  });
  expect(said({ toDevice: { events: [], nextBatch: 0 } })).toEqual({ to_device: { next_batch: "-0", events: [] } });
});

test("device lists and keys are sent in full, and no one-time keys as 0", () => {
  const e2ee = {
    deviceLists: { changed: [bob], left: [carol] },
    oneTimeKeys: Buffer.from('{"other":3}'),
    fallbackKeys: Buffer.from('["signed_curve25519"]'),
  };
  const none = { changed: [], left: [] };
  expect(said({ toDevice: { events: [], nextBatch: 1 }, e2ee })).toEqual({
    to_device: { next_batch: "-1", events: [] },
    e2ee: {
      device_lists: { changed: [bob], left: [carol] },
      device_one_time_keys_count: { signed_curve25519: 0, other: 3 },
      device_unused_fallback_key_types: ["signed_curve25519"],
    },
  });
  expect(said({ e2ee: { ...e2ee, deviceLists: none } }).e2ee).toMatchObject({ device_lists: none });
});

test("what is not known yet is left out", () => {
  expect(said({ e2ee: { deviceLists: undefined, oneTimeKeys: undefined, fallbackKeys: undefined } })).toEqual({
    e2ee: {},
  });
});

test("of what a homeserver sends only counts and types reach a client", () => {
  const oneTimeKeys = Buffer.from('{"a":-1,"b":"2","c":1.5,"d":9007199254740993,"__proto__":4,"signed_curve25519":7}');
  const fallbackKeys = Buffer.from('["x",1,null,["y"]]');
  expect(said({ e2ee: { deviceLists: undefined, oneTimeKeys, fallbackKeys } }).e2ee).toEqual({
    device_one_time_keys_count: JSON.parse('{"__proto__":4,"signed_curve25519":7}'),
    device_unused_fallback_key_types: ["x"],
  });
});
