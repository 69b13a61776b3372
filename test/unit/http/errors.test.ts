import { expect, test } from "@jest/globals";
import { errorAnswer } from "../../../src/http/errors.ts";
import { ClientError, type ErrCode } from "../../../src/model/client-error.ts";
import type { UpstreamFault } from "../../../src/model/upstream.ts";
import { UpstreamError } from "../../../src/model/upstream-error.ts";

const STATUSES: readonly (readonly [errcode: ErrCode, status: number])[] = [
  ["M_BAD_JSON", 400],
  ["M_FORBIDDEN", 403],
  ["M_INVALID_PARAM", 400],
  ["M_MISSING_PARAM", 400],
  ["M_MISSING_TOKEN", 401],
  ["M_NOT_FOUND", 404],
  ["M_NOT_JSON", 400],
  ["M_TOO_LARGE", 413],
  ["M_UNKNOWN_POS", 400],
  ["M_UNKNOWN_TOKEN", 401],
  ["M_UNRECOGNIZED", 404],
];

test.each(STATUSES)("%s has status %d and says what the error says", (errcode, status) => {
  const answer = errorAnswer(new ClientError(errcode, "because"));
  expect(answer).toMatchObject({ status, errcode, fault: "client" });
  expect(JSON.parse(String(answer.body))).toEqual({ errcode, error: "because" });
});

const status = (code: number, errcode: string | undefined, retryAfterMs?: number): UpstreamFault => ({
  kind: "status",
  status: code,
  errcode,
  retryAfterMs,
});

test.each([
  [403, 403],
  [429, 429],
  [500, 500],
  [503, 503],
  // None of these says anything about the client's token or position.
  [400, 502],
  [401, 502],
  [404, 502],
])("the homeserver's %d becomes %d", (upstream, expected) => {
  const body = Buffer.from('{"errcode":"M_UNKNOWN_POS"}');
  const answer = errorAnswer(new UpstreamError("x", status(upstream, "M_UNKNOWN_POS"), { body }));
  expect(answer.status).toBe(expected);
  if (expected === upstream) expect(answer.body).toBe(body);
  else expect(answer.errcode).toBe("M_UNKNOWN");
});

test("the homeserver's 503 without a Matrix body is a bad gateway", () => {
  expect(errorAnswer(new UpstreamError("x", status(503, undefined))).status).toBe(502);
});

test("when the homeserver wants to be asked again is passed on", () => {
  const body = Buffer.from('{"errcode":"M_LIMIT_EXCEEDED"}');
  const error = new UpstreamError("x", status(429, "M_LIMIT_EXCEEDED", 1001), { body });
  expect(errorAnswer(error).headers).toEqual({ "Retry-After": "2" });
});

test.each([
  ["timeout", 504],
  ["unreachable", 502],
  ["malformed", 502],
] as const)("a homeserver that is %s is answered with %d", (kind, expected) => {
  expect(errorAnswer(new UpstreamError("x", { kind }))).toMatchObject({
    status: expected,
    errcode: "M_UNKNOWN",
    fault: "upstream",
  });
});

test.each([
  new TypeError("secret"),
  "secret",
  undefined,
  { status: 404, message: "secret" },
])("anything else is a bug of which the client learns nothing", (error) => {
  const answer = errorAnswer(error);
  expect(answer).toMatchObject({ status: 500, errcode: "M_UNKNOWN", fault: "bug" });
  expect(String(answer.body)).toBe('{"errcode":"M_UNKNOWN","error":"Internal error"}');
});
