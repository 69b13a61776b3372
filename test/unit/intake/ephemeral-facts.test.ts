import { describe, expect, test } from "@jest/globals";
import { ephemeralOf } from "../../../src/intake/response/ephemeral-facts.ts";

const raw = (value: unknown) => Buffer.from(JSON.stringify(value));
const receiptsOf = (content: unknown) => ephemeralOf([raw({ type: "m.receipt", content })]).receipts;
const typingOf = (content: unknown) => ephemeralOf([raw({ type: "m.typing", content })]).typing;

describe("receipts", () => {
  test("are read by event, type and user, threads apart", () => {
    const content = {
      $a: { "m.read": { "@a:test": { ts: 5 }, "@b:test": { ts: 6, thread_id: "main" } } },
      $b: { "m.read.private": { "@a:test": { ts: 7 } } },
    };
    expect(receiptsOf(content)).toEqual([
      { userId: "@a:test", receiptType: "m.read", threadId: "", eventId: "$a", tsMs: 5 },
      { userId: "@b:test", receiptType: "m.read", threadId: "main", eventId: "$a", tsMs: 6 },
      { userId: "@a:test", receiptType: "m.read.private", threadId: "", eventId: "$b", tsMs: 7 },
    ]);
  });

  test("without a time are the oldest", () => {
    for (const receipt of [{}, { ts: "5" }, { ts: 1.5 }, { ts: 1e300 }, null, "x"]) {
      expect(receiptsOf({ $a: { "m.read": { "@a:test": receipt } } })).toMatchObject([{ tsMs: 0, threadId: "" }]);
    }
  });

  test("that cannot be stored are left out", () => {
    const long = `@${"a".repeat(255)}:test`;
    const users = { "a:test": {}, "@\0:test": {}, [long]: {}, "@a:test": { thread_id: "\ud800" }, "@b:test": {} };
    expect(receiptsOf({ $a: { "m.read": users } }).map(({ userId }) => userId)).toEqual(["@b:test"]);
    expect(receiptsOf({ a: { "m.read": { "@b:test": {} } } })).toEqual([]);
    expect(receiptsOf({ $a: { ["t".repeat(256)]: { "@b:test": {} } } })).toEqual([]);
  });

  test.each([null, [], "x", { $a: null }, { $a: { "m.read": [] } }])("may be none: %j", (content) => {
    expect(receiptsOf(content)).toEqual([]);
  });
});

describe("typing", () => {
  test("is who types, each once, in order", () => {
    const userIds = ["@b:test", "@a:test", "@b:test", 5, "b"];
    expect(typingOf({ user_ids: userIds })).toEqual(["@a:test", "@b:test"]);
  });

  test("is nobody when it does not say", () => {
    expect(typingOf({})).toEqual([]);
    expect(typingOf({ user_ids: "@a:test" })).toEqual([]);
    expect(typingOf(null)).toBeUndefined();
  });
});

test("other ephemeral events, and what is none, are passed over", () => {
  const events = [raw({ type: "org.example", content: {} }), raw("x"), Buffer.from("{")];
  expect(ephemeralOf(events)).toEqual({ receipts: [], typing: undefined });
});
