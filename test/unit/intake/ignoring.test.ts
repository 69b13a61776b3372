import { describe, expect, test } from "@jest/globals";
import { ignoresSomebody, ignoringIn } from "../../../src/intake/ingest/ignoring.ts";

const raw = (value: unknown) => Buffer.from(JSON.stringify(value));

describe("ignoring", () => {
  const list = (ignored: unknown) => raw({ type: "m.ignored_user_list", content: { ignored_users: ignored } });

  test("is ignoring somebody", () => {
    expect(ignoresSomebody(list({ "@m:test": {} }))).toBe(true);
    for (const ignored of [{}, null, [], "x", undefined]) expect(ignoresSomebody(list(ignored))).toBe(false);
    expect(ignoresSomebody(raw("x"))).toBe(false);
  });

  test("is told by the last list, and by nothing that only speaks of one", () => {
    const event = (body: Buffer, type = "m.ignored_user_list") => ({ type, body });
    expect(ignoringIn([])).toBeUndefined();
    expect(ignoringIn([event(raw({ text: "m.ignored_user_list" }), "org.example")])).toBeUndefined();
    expect(ignoringIn([event(list({ "@m:test": {} })), event(list({}))])).toBe(false);
  });
});
