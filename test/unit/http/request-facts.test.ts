import type { IncomingMessage } from "node:http";
import { expect, test } from "@jest/globals";
import { forwardedOf, pathOf, queryOf, tokenOf } from "../../../src/http/request-facts.ts";

const request = (parts: { url?: string; headers?: Record<string, string>; remoteAddress?: string }) =>
  ({ url: "/", headers: {}, socket: { remoteAddress: parts.remoteAddress }, ...parts }) as unknown as IncomingMessage;

test.each([
  ["Bearer syt_a_b", "syt_a_b"],
  ["bearer  syt_a_b ", "syt_a_b"],
  ["Bearer", undefined],
  ["Bearer a b", undefined],
  ["Basic YTpi", undefined],
  ["", undefined],
])("of the header %p the token is %p", (authorization, token) => {
  expect(tokenOf(request({ headers: { authorization } }))).toBe(token);
});

test("the token is taken from the query only when there is no header", () => {
  const url = "/sync?a=1&access_token=t%2F1";
  expect(tokenOf(request({ url }))).toBe("t/1");
  expect(tokenOf(request({ url, headers: { authorization: "Basic x" } }))).toBeUndefined();
  expect(tokenOf(request({ url: "/sync?access_token=" }))).toBeUndefined();
  expect(tokenOf(request({ url: "/sync" }))).toBeUndefined();
});

test("path and query are told apart at the first question mark", () => {
  const asked = request({ url: "/a/%3F?b=c?d&e=f+g" });
  expect(pathOf(asked)).toBe("/a/%3F");
  expect([...queryOf(asked)]).toEqual([
    ["b", "c?d"],
    ["e", "f g"],
  ]);
});

test.each([
  [undefined, "192.0.2.1", "192.0.2.1"],
  ["203.0.113.9", "192.0.2.1", "203.0.113.9, 192.0.2.1"],
  ["203.0.113.9", "::ffff:192.0.2.1", "203.0.113.9, 192.0.2.1"],
  [undefined, "2001:db8::1", "2001:db8::1"],
  ["203.0.113.9", undefined, "203.0.113.9"],
  [undefined, undefined, undefined],
])("addresses told (%p) and seen (%p) are forwarded as %p", (told, seen, xForwardedFor) => {
  const headers = told === undefined ? {} : { "x-forwarded-for": told };
  const asked = request({ headers, ...(seen !== undefined && { remoteAddress: seen }) });
  expect(forwardedOf(asked)).toEqual({ xForwardedFor, userAgent: undefined });
});
