import { describe, expect, test } from "@jest/globals";
import { ResponseReader } from "../../../src/intake/response/response-reader.ts";
import type { RoomSection } from "../../../src/intake/response/room-section.ts";
import { JsonSyntaxError } from "../../../src/lib/json-errors.ts";

interface Read {
  readonly rooms: readonly RoomSection[];
  readonly aside: readonly string[];
  readonly rest: ResponseReader["rest"];
}

/** Reads a body in pieces of so many bytes. */
function read(body: string | Buffer, pieceBytes = Number.MAX_SAFE_INTEGER): Read {
  const rooms: RoomSection[] = [];
  const aside: string[] = [];
  const reader = new ResponseReader({
    onRoom: (room) => rooms.push(room),
    onSetAside: (what, where, reason) => aside.push(`${what} ${where}: ${reason}`),
  });
  const bytes = Buffer.from(body);
  for (let at = 0; at < bytes.length; at += pieceBytes) reader.write(bytes.subarray(at, at + pieceBytes));
  reader.end();
  return { rooms, aside, rest: reader.rest };
}

const readJson = (body: object) => read(JSON.stringify(body));
const inJoin = (room: string) => `{"rooms":{"join":{"!r:test":${room}}}}`;
const texts = (raws: readonly Buffer[] | undefined) => raws?.map(String);

/** The one room of a body. */
function room(json: string): RoomSection {
  const { rooms } = read(inJoin(json));
  expect(rooms).toHaveLength(1);
  return rooms[0]!;
}

describe("a response", () => {
  const whole = {
    next_batch: "s1",
    account_data: { events: [{ type: "m.direct", content: { a: 1 } }] },
    to_device: { events: [{ type: "m.test", sender: "@bob:test", content: {} }] },
    device_lists: { changed: ["@a:test"], left: ["@b:test"] },
    device_one_time_keys_count: { signed_curve25519: 5 },
    device_unused_fallback_key_types: ["signed_curve25519"],
    rooms: {
      join: {
        "!a:test": {
          timeline: { events: [{ n: 1 }, { n: 2 }], limited: true, prev_batch: "p1" },
          state: { events: [{ s: 1 }] },
          ephemeral: { events: [{ e: 1 }] },
          account_data: { events: [{ type: "m.tag", content: {} }] },
          summary: { "m.heroes": ["@b:test"], "m.joined_member_count": 2, "m.invited_member_count": 1 },
          unread_notifications: { notification_count: 3, highlight_count: 1 },
          unread_thread_notifications: { $t: { notification_count: 2, highlight_count: 1 } },
        },
      },
      invite: { "!b:test": { invite_state: { events: [{ i: 1 }] } } },
      knock: { "!c:test": { knock_state: { events: [{ k: 1 }] } } },
      leave: { "!d": { timeline: { events: [{ n: 3 }] } } },
    },
  };

  test.each([1, 7, 100_000])("is read whole in pieces of %i bytes", (pieceBytes) => {
    const { rooms, rest, aside } = read(JSON.stringify(whole), pieceBytes);
    expect(aside).toEqual([]);
    expect(rooms.map(({ kind, roomId }) => [kind, roomId])).toEqual([
      ["join", "!a:test"],
      ["invite", "!b:test"],
      ["knock", "!c:test"],
      ["leave", "!d"],
    ]);
    const [joined, invite, knock, left] = rooms;
    expect(joined).toMatchObject({
      limited: true,
      prevBatch: "p1",
      stateAfter: undefined,
      summary: { heroes: ["@b:test"], joinedCount: 2, invitedCount: 1 },
      counts: { notifications: 5, highlights: 2 },
      accountData: [{ type: "m.tag" }],
    });
    expect(texts(joined?.timeline)).toEqual(['{"n":1}', '{"n":2}']);
    expect(texts(joined?.state)).toEqual(['{"s":1}']);
    expect(texts(joined?.ephemeral)).toEqual(['{"e":1}']);
    expect([texts(invite?.stripped), texts(knock?.stripped)]).toEqual([['{"i":1}'], ['{"k":1}']]);
    expect(texts(left?.timeline)).toEqual(['{"n":3}']);
    expect(rest).toMatchObject({
      nextBatch: "s1",
      accountData: [{ type: "m.direct" }],
      deviceLists: { changed: ["@a:test"], left: ["@b:test"] },
    });
    expect(texts(rest.toDevice)).toEqual(['{"type":"m.test","sender":"@bob:test","content":{}}']);
    expect(rest.oneTimeKeys?.toString()).toBe('{"signed_curve25519":5}');
    expect(rest.fallbackKeys?.toString()).toBe('["signed_curve25519"]');
  });

  test("hands out a room as soon as it is there", () => {
    const rooms: string[] = [];
    const reader = new ResponseReader({ onRoom: ({ roomId }) => rooms.push(roomId), onSetAside: () => {} });
    reader.write(Buffer.from('{"rooms":{"join":{"!a:test":{"timeline":{"events":[]}}'));
    expect(rooms).toEqual(["!a:test"]);
    reader.write(Buffer.from(',"!b:test":{'));
    expect(rooms).toEqual(["!a:test"]);
  });

  test("may have nothing, or null for everything", () => {
    expect(read("{}")).toMatchObject({ rooms: [], aside: [], rest: { nextBatch: undefined, oneTimeKeys: undefined } });
    const keys = Object.keys(whole).map((key) => [key, null]);
    const { rooms, aside, rest } = readJson(Object.fromEntries(keys));
    expect([rooms, aside]).toEqual([[], []]);
    expect(rest).toMatchObject({
      nextBatch: undefined,
      accountData: [],
      toDevice: [],
      deviceLists: { changed: [], left: [] },
      oneTimeKeys: undefined,
      fallbackKeys: undefined,
    });
    expect(readJson({ rooms: { join: null, leave: null, invite: null } }).rooms).toEqual([]);
  });

  test("may have kinds of rooms and sections that are not known", () => {
    const { rooms, aside } = readJson({
      presence: { events: [{}] },
      groups: {},
      rooms: { peek: { "!a:test": { timeline: { events: [{}] } } }, join: { "!b:test": { "org.example": [1] } } },
    });
    expect([rooms.map(({ roomId }) => roomId), aside]).toEqual([["!b:test"], []]);
  });

  test("tells when its account data is whole", () => {
    const reader = new ResponseReader({ onRoom: () => {}, onSetAside: () => {} });
    expect(reader.rest.isAccountDataWhole).toBe(false);
    reader.write(Buffer.from('{"account_data":{"events":[{"type":"m.direct","content":{}}'));
    expect(reader.rest.isAccountDataWhole).toBe(false);
    reader.write(Buffer.from("]}"));
    expect(reader.rest.isAccountDataWhole).toBe(true);
  });

  test("has of its tokens and key counts the last one", () => {
    const { rest } = read(
      '{"next_batch":"a","next_batch":"b","device_one_time_keys_count":{"x":1},' +
        '"device_one_time_keys_count":{"x":2}}',
    );
    expect([rest.nextBatch, rest.oneTimeKeys?.toString()]).toEqual(["b", '{"x":2}']);
  });

  test.each(["5", "null", "{}", '"\\u0000"', '"\\ud800"'])("whose next_batch is %s has none", (token) => {
    expect(read(`{"next_batch":${token}}`).rest.nextBatch).toBeUndefined();
  });

  test("has its fallback key types under the old name, too", () => {
    const { rest } = readJson({ "org.matrix.msc2732.device_unused_fallback_key_types": [] });
    expect(rest.fallbackKeys?.toString()).toBe("[]");
    expect(readJson({ device_unused_fallback_key_types: {} }).rest.fallbackKeys).toBeUndefined();
    expect(readJson({ device_one_time_keys_count: [] }).rest.oneTimeKeys).toBeUndefined();
  });

  test("loses entries that are none, and says so", () => {
    const { rest, aside } = readJson({
      account_data: {
        events: [
          { type: 5, content: {} },
          { type: "", content: {} },
          { type: "m.a" },
          "x",
          { type: "t".repeat(256), content: {} },
          { type: "m.b", content: {} },
        ],
      },
      to_device: { events: ["x", { content: {} }, { type: "m.c" }] },
      device_lists: { changed: ["@a:test", 5, "bob", `@${"a".repeat(255)}:test`, "@\0:test"], left: "all" },
    });
    expect(rest.accountData.map(({ type }) => type)).toEqual(["m.b"]);
    expect(texts(rest.toDevice)).toEqual(['{"type":"m.c"}']);
    expect(rest.deviceLists).toEqual({ changed: ["@a:test"], left: [] });
    expect(aside).toEqual([
      ...Array(5).fill("section account_data: not an event"),
      "section to_device: not an event",
      "section to_device: not an event",
      "section device_lists.changed: not a user id",
    ]);
  });

  test("may name a hundred thousand changed devices", () => {
    const changed = Array.from({ length: 200_000 }, (_, n) => `@u${n}:test`);
    expect(readJson({ device_lists: { changed } }).rest.deviceLists.changed).toHaveLength(200_000);
  });

  test.each(["{", '{"rooms":', '{"a":1}}', "<html>", ""])("that is broken throws: %s", (body) => {
    expect(() => read(body)).toThrow(JsonSyntaxError);
  });
});

describe("a room", () => {
  test("is set aside when its id is none, or it is no object", () => {
    const body = '{"rooms":{"join":{"a":{},"!\\u0000":{},"!\\ud800":{},"!b":[],"!c":{},"!d":5}}}';
    const { rooms, aside } = read(body);
    expect(rooms.map(({ roomId }) => roomId)).toEqual(["!c"]);
    expect(aside).toHaveLength(4);
    expect(read('{"rooms":{"join":[{}]}}').rooms).toEqual([]);
  });

  test("may have null for every section", () => {
    const sections = ["timeline", "state", "state_after", "ephemeral", "account_data", "summary"];
    const counts = ["unread_notifications", "unread_thread_notifications"];
    const empty = room(`{${[...sections, ...counts].map((key) => `"${key}":null`).join(",")}}`);
    expect(empty).toMatchObject({ timeline: [], state: [], stateAfter: undefined, summary: undefined });
    expect(empty.counts).toBeUndefined();
    expect(room('{"timeline":{"events":null,"limited":null,"prev_batch":null}}')).toMatchObject({
      timeline: [],
      limited: false,
      prevBatch: undefined,
    });
  });

  test("has state_after under both names, and by the key alone", () => {
    expect(texts(room('{"state_after":{"events":[1]}}').stateAfter)).toEqual(["1"]);
    expect(texts(room('{"org.matrix.msc4222.state_after":{"events":[2]}}').stateAfter)).toEqual(["2"]);
    const both = '{"state_after":{"events":[1]},"org.matrix.msc4222.state_after":{"events":[2]}}';
    expect(texts(room(both).stateAfter)).toEqual(["1", "2"]);
    expect(room('{"state_after":{}}').stateAfter).toEqual([]);
    expect(room('{"state":{"events":[3]}}').stateAfter).toBeUndefined();
  });

  test("has of members with the same key the last one, and of lists all entries", () => {
    const twice = room(
      '{"timeline":{"limited":true,"limited":false,"prev_batch":"a","prev_batch":"b","events":[1]},' +
        '"timeline":{"events":[2]},"summary":{"m.joined_member_count":1},"summary":{"m.joined_member_count":2}}',
    );
    expect(twice).toMatchObject({ limited: false, prevBatch: "b", summary: { joinedCount: 2 } });
    expect(texts(twice.timeline)).toEqual(["1", "2"]);
  });

  test("that comes twice is handed out twice", () => {
    const { rooms } = read('{"rooms":{"join":{"!a":{"state":{"events":[1]}},"!a":{}}}}');
    expect(rooms.map(({ state }) => texts(state))).toEqual([["1"], []]);
  });

  test.each(["-1", "1.5", '"3"', "null", "1e400"])("has no count that is %s", (count) => {
    const { summary, counts } = room(
      `{"summary":{"m.joined_member_count":${count}},"unread_notifications":{"notification_count":${count}}}`,
    );
    expect([summary?.joinedCount, counts]).toEqual([undefined, { notifications: 0, highlights: 0 }]);
  });

  test("has counts that fit into 32 bits, those of threads included", () => {
    const most = { notification_count: Number.MAX_SAFE_INTEGER, highlight_count: 1 };
    const { counts, summary } = room(
      JSON.stringify({
        unread_notifications: most,
        unread_thread_notifications: { $a: most, $b: most, $c: null, $d: 5 },
        summary: { "m.joined_member_count": 2 ** 40 },
      }),
    );
    expect(counts).toEqual({ notifications: 2 ** 31 - 1, highlights: 3 });
    expect(summary?.joinedCount).toBe(2 ** 31 - 1);
  });

  test("has at most five heroes, all of them user ids", () => {
    const heroes = ["@a:test", 5, "x", "@\ud800:test", "@b:test", "@c:test", "@d:test", "@e:test", "@f:test"];
    const { summary } = room(JSON.stringify({ summary: { "m.heroes": heroes } }));
    expect(summary?.heroes).toEqual(["@a:test", "@b:test", "@c:test", "@d:test", "@e:test"]);
    expect(room('{"summary":{"m.heroes":"@a:test"}}').summary?.heroes).toBeUndefined();
  });

  test("loses account data that is none, and says where", () => {
    const { rooms, aside } = read(inJoin('{"account_data":{"events":[5,{"type":"m.tag","content":{}}]}}'));
    expect(rooms[0]?.accountData.map(({ type }) => type)).toEqual(["m.tag"]);
    expect(aside).toEqual(["section !r:test account_data: not an event"]);
  });

  test("with bytes that are no UTF-8 is read as JSON.parse reads it", () => {
    const broken = Buffer.concat([Buffer.from('{"body":"'), Buffer.from([0xff, 0xc3]), Buffer.from('"}')]);
    const body = Buffer.concat([
      Buffer.from('{"rooms":{"join":{"!r":{"timeline":{"events":['),
      broken,
      Buffer.from("]}}}}}"),
    ]);
    expect(texts(read(body).rooms[0]?.timeline)).toEqual(['{"body":"\ufffd\ufffd"}']);
    expect(read(body).rooms[0]?.timeline[0]?.equals(Buffer.from('{"body":"\ufffd\ufffd"}'))).toBe(true);
  });

  test("weighs what its values weigh", () => {
    expect(room('{"timeline":{"events":[12,345]},"ephemeral":{"events":["abc"]}}').bytes).toBe(10);
  });
});
