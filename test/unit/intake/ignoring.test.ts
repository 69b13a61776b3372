import { describe, expect, test } from "@jest/globals";
import { ignoredIn } from "../../../src/intake/ingest/ignoring.ts";
import { ignoredBy } from "../../../src/model/ignored-users.ts";

const raw = (value: unknown) => Buffer.from(JSON.stringify(value));

describe("ignoring", () => {
  const list = (ignored: unknown) => raw({ type: "m.ignored_user_list", content: { ignored_users: ignored } });

  test("is ignoring somebody", () => {
    expect(ignoredBy(list({ "@m:test": {}, "@n:test": {} }))).toEqual(new Set(["@m:test", "@n:test"]));
    for (const ignored of [{}, null, [], "x", undefined]) expect(ignoredBy(list(ignored)).size).toBe(0);
    expect(ignoredBy(raw("x")).size).toBe(0);
  });

  test("is told by the last list, and by nothing that only speaks of one", () => {
    const event = (body: Buffer, type = "m.ignored_user_list") => ({ type, body });
    expect(ignoredIn([])).toBeUndefined();
    expect(ignoredIn([event(raw({ text: "m.ignored_user_list" }), "org.example")])).toBeUndefined();
    expect(ignoredIn([event(list({ "@m:test": {} })), event(list({}))])).toEqual(new Set());
  });
});
