import { describe, expect, test } from "@jest/globals";
import { redactedBody, redactedContent } from "../../../src/intake/ingest/redacted-body.ts";
import { possibleTargets, redactionTarget } from "../../../src/intake/ingest/redaction-target.ts";
import { isBad, type ParsedEvent, parseEvent } from "../../../src/intake/response/parse-event.ts";

const VERSIONS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12"];
const NEWER = ["org.example.new", "13", "011", "", undefined];

const contentOf = (content: object, type: string, version: string | undefined): object =>
  JSON.parse(redactedContent(Buffer.from(JSON.stringify(content)), type, version).toString());

const at = (key: string, value: unknown = key) => ({ [key]: value });

/** Types with members that survive: always, and those that do `from` or `to` a version. */
const TABLE: readonly [type: string, always: object, others: readonly (readonly [string, object, object?])[]][] = [
  ["m.room.message", {}, []],
  ["m.room.name", {}, []],
  ["m.room.encryption", {}, []],
  ["m.room.tombstone", {}, []],
  [
    "m.room.create",
    {},
    [
      ["to 10", at("creator")],
      ["from 11", { creator: "creator", room_version: "x", other: 1 }],
    ],
  ],
  [
    "m.room.member",
    at("membership"),
    [
      ["from 9", at("join_authorised_via_users_server")],
      [
        "from 11",
        at("third_party_invite", { signed: { token: 1 } }),
        at("third_party_invite", { signed: { token: 1 }, display_name: 1 }),
      ],
    ],
  ],
  ["m.room.join_rules", at("join_rule"), [["from 8", at("allow", [{ a: 1 }])]]],
  [
    "m.room.power_levels",
    {
      ban: 1,
      events: { a: 1 },
      events_default: 0,
      kick: 2,
      redact: 3,
      state_default: 4,
      users: { b: 1 },
      users_default: 5,
    },
    [["from 11", at("invite", 7)]],
  ],
  ["m.room.history_visibility", at("history_visibility"), []],
  ["m.room.aliases", {}, [["to 5", at("aliases", ["#a:test"])]]],
  ["m.room.redaction", {}, [["from 11", at("redacts", "$a")]]],
  ["org.example.redacts", {}, []],
];

const applies = (when: string, version: number): boolean => {
  const [word, bound] = when.split(" ");
  return word === "from" ? version >= Number(bound) : version <= Number(bound);
};

describe("content in redacted form", () => {
  test.each(TABLE)("of %s is what its room version keeps", (type, always, others) => {
    const whole = Object.assign({}, always, ...others.map(([, kept, sent = kept]) => sent));
    for (const version of [...VERSIONS, ...NEWER]) {
      const number = VERSIONS.includes(version ?? "") ? Number(version) : 12;
      const kept = others.filter(([when]) => applies(when, number)).map(([, each]) => each);
      // Creations of version 11 and later are kept whole, so nothing is added to them.
      const sent =
        type === "m.room.create" ? whole : { ...whole, body: "secret", displayname: "secret", url: "secret" };
      expect([version, contentOf(sent, type, version)]).toEqual([version, Object.assign({}, always, ...kept)]);
    }
  });

  test("is an empty object where it was none", () => {
    for (const raw of ["5", '"text"', "null", "[1]"]) {
      expect(redactedContent(Buffer.from(raw), "m.room.encryption", "10").toString()).toBe("{}");
    }
  });

  test("has of a third-party invite what was signed, and nothing of one that is no object", () => {
    const invite = (value: unknown) =>
      contentOf({ membership: "invite", third_party_invite: value }, "m.room.member", "11");
    expect(invite({ display_name: "x" })).toEqual({ membership: "invite", third_party_invite: {} });
    expect(invite("x")).toEqual({ membership: "invite" });
  });
});

describe("an event in redacted form", () => {
  const body = (text: string, type: string, version?: string) =>
    redactedBody(Buffer.from(text), type, version).toString();

  test("has the members at its top that its room version keeps", () => {
    const top =
      '{"event_id":"$a","type":"t","room_id":"!r","sender":"@a:b","state_key":"","hashes":1,"signatures":2,"depth":3,' +
      '"prev_events":4,"auth_events":5,"origin_server_ts":6';
    const old = ',"origin":7,"prev_state":8,"membership":9';
    const other = ',"redacts":"$b","age":1,"org.example":2,"content":{}}';
    for (const version of VERSIONS) {
      const kept = Number(version) <= 10 ? old : "";
      expect([version, body(top + old + other, "t", version)]).toEqual([version, `${top}${kept},"content":{}}`]);
    }
    expect(body(top + old + other, "t", "13")).toBe(`${top},"content":{}}`);
  });

  test("keeps what it keeps byte for byte: numbers beyond 2^53, escapes, order", () => {
    const kept =
      '"content":{"users":{"@a:b":9007199254740993, "\\u0041":1e400},"ban":50.000},"type":"m.room.power_levels"';
    expect(body(`{ ${kept} , "secret":[1] }`, "m.room.power_levels", "10")).toBe(`{${kept}}`);
    expect(body('{"\\u0074ype":"x","content":{"a":1}}', "x")).toBe('{"\\u0074ype":"x","content":{}}');
  });

  test("holds nothing of an earlier member with the same key", () => {
    const twice = '{"content":{"membership":"secret","membership":"join"},"type":"m.room.member"}';
    expect(body(twice, "m.room.member", "9")).toBe('{"content":{"membership":"join"},"type":"m.room.member"}');
    expect(body('{"content":{"membership":"secret"},"type":"x","content":{}}', "x")).toBe('{"content":{},"type":"x"}');
  });

  test("does not change when it is redacted again, nor when nothing is left", () => {
    const once = body('{ "type" : "m.room.name", "content": { "name" : "secret" } }', "m.room.name");
    expect(once).toBe('{"type" : "m.room.name","content": {}}');
    expect(body(once, "m.room.name")).toBe(once);
    expect(body("{}", "m.room.name")).toBe("{}");
  });

  test("is no victim of names that every object has", () => {
    expect(contentOf(JSON.parse('{"__proto__":{"membership":"x"},"constructor":1}'), "constructor", "11")).toEqual({});
  });
});

describe("what a redaction redacts", () => {
  const parsed = (members: object): ParsedEvent => {
    const base = { type: "m.room.redaction", event_id: "$r", sender: "@a:b", origin_server_ts: 1, content: {} };
    const event = parseEvent(Buffer.from(JSON.stringify({ ...base, ...members })));
    if (isBad(event)) throw new Error(event.bad);
    return event;
  };

  test("stands beside its content up to version 10, and inside from 11", () => {
    const event = parsed({ redacts: "$top", content: { redacts: "$inside" } });
    for (const version of VERSIONS) {
      expect(redactionTarget(event, version)).toBe(Number(version) <= 10 ? "$top" : "$inside");
    }
    for (const version of NEWER) expect(redactionTarget(event, version)).toBe("$inside");
    expect(possibleTargets(event)).toEqual(["$top", "$inside"]);
  });

  test("is nothing where the other place alone names it: its sender may write there what they like", () => {
    expect(redactionTarget(parsed({ content: { redacts: "$a" } }), "10")).toBeUndefined();
    expect(redactionTarget(parsed({ redacts: "$a" }), "11")).toBeUndefined();
    expect(redactionTarget(parsed({ redacts: "$a" }), "13")).toBeUndefined();
  });

  test("stands in either place while the room's version is not known", () => {
    expect(redactionTarget(parsed({ redacts: "$a" }), undefined)).toBe("$a");
    expect(redactionTarget(parsed({ content: { redacts: "$a" } }), undefined)).toBe("$a");
  });

  test.each([
    ["itself", "$r"],
    ["no event id", "a"],
    ["a number", 5],
    ["several", ["$a"]],
    ["what cannot be stored", "$a\ud800"],
    ["what is too long", `$${"a".repeat(300)}`],
  ])("is nothing where it names %s", (_, redacts) => {
    expect(possibleTargets(parsed({ redacts, content: { redacts } }))).toEqual([]);
  });

  test("is nothing for an event of another type", () => {
    expect(possibleTargets(parsed({ type: "m.room.message", redacts: "$a", content: { redacts: "$a" } }))).toEqual([]);
  });
});
