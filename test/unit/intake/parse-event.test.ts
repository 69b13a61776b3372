import { describe, expect, test } from "@jest/globals";
import { isBad, type ParsedEvent, parseEvent } from "../../../src/intake/response/parse-event.ts";

const parse = (json: string) => parseEvent(Buffer.from(json));

function good(json: string): ParsedEvent {
  const event = parse(json);
  if (isBad(event)) throw new Error(event.bad);
  return event;
}

const bodyOf = (json: string) => good(json).body.toString();

/** A message with members replaced or, by null, left out; values are raw JSON. */
function raw(members: Record<string, string | null> = {}): string {
  const all = {
    type: '"m.room.message"',
    event_id: '"$a"',
    sender: '"@alice:test"',
    origin_server_ts: "1000",
    content: "{}",
    ...members,
  };
  const kept = Object.entries(all).filter(([, value]) => value !== null);
  return `{${kept.map(([key, value]) => `"${key}":${value}`).join(",")}}`;
}

describe("an event", () => {
  test("keeps what it is known by", () => {
    const event = good(raw({ state_key: '"k"', origin_server_ts: "1700000000123" }));
    expect(event).toMatchObject({
      eventId: "$a",
      type: "m.room.message",
      stateKey: "k",
      sender: "@alice:test",
      originServerTsMs: 1_700_000_000_123,
      content: {},
      unsigned: undefined,
      transactionId: undefined,
    });
  });

  test("keeps numbers beyond 2^53, escapes, white space and the order of members byte for byte", () => {
    const json =
      '{ "content" : {"n":9007199254740993.000, "big":1e400, "s":"\\u00e9\\ud800\\/"} ,' +
      '"type":"m.room.message","event_id":"$a","sender":"@alice:test","origin_server_ts":1 }';
    expect(bodyOf(json)).toBe(json);
  });

  test("loses what is personal, what is relative to its sending, and what belongs to other formats", () => {
    const extra = { unsigned: '{"age":5}', room_id: '"!r"', age: "5", user_id: '"@alice:test"', depth: "7" };
    expect(bodyOf(raw(extra))).toBe(raw());
  });

  test("keeps members that are not known, and redacts", () => {
    const json = raw({ redacts: '"$b"', "org.example": "[1]" });
    expect(bodyOf(json)).toBe(json);
  });

  test("keeps of unsigned what is the same for every reader, and tells the transaction id apart", () => {
    const unsigned = '{"age":1,"prev_content":{"n":9007199254740993},"transaction_id":"t1","membership":"join"}';
    const event = good(raw({ unsigned }));
    expect(event.unsigned?.toString()).toBe('{"prev_content":{"n":9007199254740993}}');
    expect(event.transactionId).toBe("t1");
  });

  test("in redacted form says by what, and keeps of the redaction what is the same for every reader", () => {
    const redaction = '{"event_id":"$r","content":{"n":9007199254740993}}';
    const personal = redaction.replace("{", '{"room_id":"!r","unsigned":{"transaction_id":"t"},');
    const event = good(raw({ unsigned: `{"redacted_because":${personal},"age":1,"prev_content":{}}` }));
    expect(event.redactedBy).toBe("$r");
    expect(event.unsigned?.toString()).toBe(`{"prev_content":{},"redacted_because":${redaction}}`);
    expect(good(raw({ unsigned: '{"redacted_because":{"event_id":5}}' })).redactedBy).toBe("");
    for (const other of ["null", '"$r"', "true", "[]"]) {
      const whole = good(raw({ unsigned: `{"redacted_because":${other},"prev_content":{}}` }));
      expect([whole.redactedBy, whole.unsigned?.toString()]).toEqual([undefined, '{"prev_content":{}}']);
    }
  });

  test("tells whose content its unsigned repeats", () => {
    const unsigned = '"replaces_state":"$before","prev_sender":"@alice:test"';
    expect(good(raw({ unsigned: `{${unsigned},"prev_content":{"a":1}}` })).previous).toBe("$before");
    expect(good(raw({ unsigned: `{${unsigned}}` })).previous).toBeUndefined();
  });

  test("whose unsigned holds nothing for others has none", () => {
    expect(good(raw({ unsigned: '{"age":1}' })).unsigned).toBeUndefined();
    expect(good(raw({ unsigned: "null" })).unsigned).toBeUndefined();
    expect(good(raw({ unsigned: '"text"' })).unsigned).toBeUndefined();
  });

  test("with a transaction id that cannot be stored is stored without it", () => {
    expect(good(raw({ unsigned: '{"transaction_id":"\\u0000"}' })).transactionId).toBeUndefined();
  });

  test("has of members with the same key the last one", () => {
    const json =
      '{"type":"x","type":"m.room.message","event_id":"$a","sender":"@alice:test","origin_server_ts":1,' +
      '"content":{},"unsigned":{"prev_content":{"a":1}},"unsigned":{"prev_content":{"a":2}}}';
    expect(good(json).type).toBe("m.room.message");
    expect(good(json).unsigned?.toString()).toBe('{"prev_content":{"a":2}}');
    expect(bodyOf(json)).not.toContain("unsigned");
  });

  test("may have an empty type, an empty state key, and members that objects inherit", () => {
    expect(good(raw({ type: '""' })).type).toBe("");
    expect(good(raw({ state_key: '""' })).stateKey).toBe("");
    expect(good(raw({ ["__proto__"]: "{}", constructor: '"x"' })).stateKey).toBeUndefined();
  });

  test("whose state key is null is no state, for clients too", () => {
    const event = good(raw({ state_key: "null" }));
    expect(event.stateKey).toBeUndefined();
    expect(event.body.toString()).toBe(raw());
  });

  test.each([
    ["1.5e3", 1500],
    ["-1", -1],
    ["0.75", 0],
    ["9007199254740993", Number.MAX_SAFE_INTEGER],
    ["1e400", Number.MAX_SAFE_INTEGER],
    ["-1e400", Number.MIN_SAFE_INTEGER],
  ])("of an old room version may have the time %s, which its body keeps", (time, stored) => {
    const json = raw({ origin_server_ts: time });
    expect(good(json).originServerTsMs).toBe(stored);
    expect(bodyOf(json)).toBe(json);
  });

  test("of encryption is kept whatever its content is", () => {
    for (const content of ["null", "5", '"x"', "[]", null]) {
      const json = raw({ type: '"m.room.encryption"', state_key: '""', content });
      expect(good(json)).toMatchObject({ type: "m.room.encryption", content: {} });
      expect(bodyOf(json)).toBe(json);
    }
  });
});

describe("an event is refused", () => {
  test.each([["5"], ["null"], ['"text"'], ["[]"], ["{"], [""]])("that is not a JSON object: %s", (json) => {
    expect(parse(json)).toEqual({ bad: "not a JSON object", type: undefined, isState: false });
  });

  test.each([
    ["type", "5"],
    ["type", null],
    ["type", '"a\\u0000"'],
    ["type", '"\\ud800"'],
    ["type", `"${"t".repeat(256)}"`],
    ["event_id", "7"],
    ["event_id", null],
    ["event_id", '""'],
    ["event_id", '"a"'],
    ["event_id", '"$\\udfff"'],
    ["event_id", `"$${"e".repeat(255)}"`],
    ["sender", "null"],
    ["sender", '"alice"'],
    ["sender", '"@a:\\ud800"'],
    ["content", "null"],
    ["content", "[]"],
    ["content", null],
    ["origin_server_ts", '"1"'],
    ["origin_server_ts", "null"],
    ["origin_server_ts", null],
    ["state_key", "1"],
    ["state_key", "{}"],
    ["state_key", '"\\u0000"'],
    ["state_key", '"\\udc00"'],
    ["state_key", `"${"k".repeat(256)}"`],
  ])("for its %s: %s", (key, value) => {
    const event = parse(raw({ [key]: value }));
    expect(isBad(event) && event.bad).toMatch(new RegExp(`^${key} `));
  });

  test("and tells whether it would have been state, and of which type", () => {
    const known = { type: "m.room.message", isState: true };
    expect(parse(raw({ event_id: "1", state_key: '""' }))).toMatchObject(known);
    expect(parse(raw({ state_key: "[]" }))).toMatchObject(known);
    expect(parse(raw({ event_id: "1", state_key: "null" }))).toMatchObject({ isState: false });
    expect(parse(raw({ type: "1" }))).toMatchObject({ type: undefined, isState: false });
  });
});
