import { expect, test } from "@jest/globals";
import { statusError } from "../../../src/homeserver/fault.ts";
import type { UpstreamHeaders } from "../../../src/model/client-upstream.ts";

const faultOf = (headers: UpstreamHeaders, body: unknown) =>
  statusError("GET /x", { status: 429, headers, body: Buffer.from(JSON.stringify(body)) }).fault;

test.each<[string, UpstreamHeaders, unknown, number | undefined]>([
  ["seconds", { "retry-after": "7" }, {}, 7000],
  [
    "a date, against the answer's own clock",
    { "retry-after": "Wed, 21 Oct 2026 07:28:10 GMT", date: "Wed, 21 Oct 2026 07:28:00 GMT" },
    {},
    10_000,
  ],
  ["a date without a clock", { "retry-after": "Wed, 21 Oct 2026 07:28:10 GMT" }, { retry_after_ms: 5 }, 5],
  [
    "a date that has passed",
    { "retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", date: "Wed, 21 Oct 2026 07:28:00 GMT" },
    {},
    undefined,
  ],
  ["the body only", {}, { retry_after_ms: 1500 }, 1500],
  ["header before body", { "retry-after": "2" }, { retry_after_ms: 1500 }, 2000],
  ["nonsense", { "retry-after": "soon" }, { retry_after_ms: -1 }, undefined],
  ["text in the body", {}, { retry_after_ms: "5" }, undefined],
])("when to come back is read from %s", (_name, headers, body, retryAfterMs) => {
  expect(faultOf(headers, body)).toMatchObject({ retryAfterMs });
});

test("a body is kept only when it is a Matrix error", () => {
  const error = (body: string) => statusError("GET /x", { status: 500, headers: {}, body: Buffer.from(body) });
  expect(error('{"errcode":"M_X"}')).toMatchObject({
    body: Buffer.from('{"errcode":"M_X"}'),
    fault: { errcode: "M_X" },
  });
  for (const body of ["<html>", "[]", "null", '{"errcode":5}', ""]) {
    expect(error(body)).toMatchObject({ body: undefined, fault: { errcode: undefined } });
  }
});
