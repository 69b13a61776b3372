import { expect, test } from "@jest/globals";
import { redactField, redactText } from "../../../src/logging/redact.ts";

test.each([
  ["/sync?access_token=SECRET&timeout=0", "/sync?access_token=[redacted]&timeout=0"],
  ["/sync?access%5Ftoken=SECRET", "/sync?access%5Ftoken=[redacted]"],
  ["/sync?timeout=0&access_token=SECRET#x", "/sync?timeout=0&access_token=[redacted]#x"],
  ["GET /x?loginToken=SECRET failed", "GET /x?loginToken=[redacted] failed"],
  ["sent Authorization: Bearer SECRET", "sent Authorization: Bearer [redacted]"],
  ["authorization: Basic U0VDUkVUCg==", "authorization: Basic [redacted]"],
  ['{"access_token":"SECRET","user_id":"@a:b"}', '{"access_token":"[redacted]","user_id":"@a:b"}'],
  [
    'body was "{\\"access_token\\":\\"SECRET\\",\\"a\\":1}"',
    'body was "{\\"access_token\\":\\"[redacted]\\",\\"a\\":1}"',
  ],
  [`{"password":"it's \\"SECRET\\"","a":1}`, '{"password":"[redacted]","a":1}'],
  ["{ access_token: 'SECRET', a: 1 }", "{ access_token: '[redacted]', a: 1 }"],
  ["token syt_YWxpY2U_AbCdEfGhIjKlMnOp_123abc is unknown", "token syt_[redacted] is unknown"],
  ["cannot reach postgres://user:SEC/RE@T@db:5432/x", "cannot reach postgres://[redacted]@db:5432/x"],
  ["cannot reach https://user:SECRET@proxy:3128/x", "cannot reach https://[redacted]@proxy:3128/x"],
])("the secret in %p is taken out", (text, redacted) => {
  expect(redactText(text)).toBe(redacted);
});

test.each([
  "/_matrix/client/v3/profile/@alice:example.org?since=s1_2&filter=x",
  "https://hs.example.org/_matrix/client/v3/user/@alice:example.org/filter",
  "the bearer token is missing",
  "Basic auth is not supported",
  "M_UNKNOWN_TOKEN",
])("%p has no secret and stays as it is", (text) => {
  expect(redactText(text)).toBe(text);
});

test("text too long for a log line is cut, and quickly so", () => {
  expect(redactText("a".repeat(1_000_000))).toBe(`${"a".repeat(8192)}…`);
});

test.each([
  ["token", "SECRET"],
  ["accessToken", "SECRET"],
  ["access_token", 12],
  ["Authorization", "SECRET"],
  ["secret", { nested: "SECRET" }],
  ["headers", { authorization: "SECRET", accept: "json" }],
  ["headers", ["accept", "json", "X-Access-Token", "SECRET"]],
  ["headers", new Map([["cookie", "SECRET"]])],
  ["request", { options: [{ headers: { as_token: "SECRET" } }] }],
  ["url", new URL("https://hs.example.org/sync?access_token=SECRET")],
])("the secret of the field %p is taken out", (name, value) => {
  const logged = JSON.stringify(redactField(name, value));
  expect(logged).toContain("[redacted]");
  expect(logged).not.toMatch(/SECRET|12/);
});

test("whether a secret is set may be told", () => {
  expect(redactField("config", { hasToken: true, secret: undefined, token: null })).toEqual({
    hasToken: true,
    secret: undefined,
    token: null,
  });
});

test("an error is told with its type, stack, own fields and causes, and without the secrets in any of them", () => {
  const cause = Object.assign(new Error("GET https://hs/sync?access_token=SECRET"), { token: "SECRET" });
  const error = Object.assign(new TypeError("Bearer SECRET refused", { cause }), { code: "E_REFUSED", status: 401 });
  const logged = redactField("err", new AggregateError([error], "all failed"));
  expect(logged).toMatchObject({
    type: "AggregateError",
    message: "all failed",
    errors: [
      {
        type: "TypeError",
        message: "Bearer [redacted] refused",
        stack: expect.stringContaining("at "),
        code: "E_REFUSED",
        status: 401,
        cause: { message: "GET https://hs/sync?access_token=[redacted]", token: "[redacted]" },
      },
    ],
  });
  expect(JSON.stringify(logged)).not.toContain("SECRET");
});

test("what cannot or should not be written is replaced by what it is", () => {
  const circle: Record<string, unknown> = {};
  circle.self = circle;
  expect(redactField("a", circle)).toEqual({ self: "[circular]" });
  expect(redactField("a", [1n, new Uint8Array(3), () => 1, new Date(0), new Date(Number.NaN), new Set([1])])).toEqual([
    "1",
    "[3 bytes]",
    "[function]",
    "1970-01-01T00:00:00.000Z",
    "[invalid date]",
    [1],
  ]);
  expect(JSON.stringify(redactField("a", { b: { c: { d: { e: { f: { g: {} } } } } } }))).toContain("[too deep]");
  expect(
    redactField(
      "a",
      Array.from({ length: 1000 }, () => 0),
    ),
  ).toHaveLength(100);
});
