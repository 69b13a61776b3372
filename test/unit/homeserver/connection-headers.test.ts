import { expect, test } from "@jest/globals";
import { requestHeaders, responseHeaders } from "../../../src/homeserver/connection-headers.ts";

test("a request keeps its headers in order and spelling, also those that occur twice", () => {
  const raw = ["Accept", "a", "X-Odd", "1", "accept", "b", "Content-Length", "3"];
  expect(requestHeaders(raw, undefined)).toEqual(raw);
});

test.each([
  ["Connection", "keep-alive"],
  ["keep-alive", "timeout=5"],
  ["Transfer-Encoding", "chunked"],
  ["Upgrade", "websocket"],
  ["TE", "trailers"],
  ["Trailer", "X"],
  ["Proxy-Connection", "close"],
  ["Proxy-Authorization", "Basic x"],
  ["Proxy-Authenticate", "Basic"],
])("%s stays on its connection, in both directions", (name, value) => {
  expect(requestHeaders([name, value, "A", "1"], undefined)).toEqual(["A", "1"]);
  expect(responseHeaders({ [name.toLowerCase()]: value, a: "1" })).toEqual({ a: "1" });
});

test("what a Connection header names stays on its connection, in both directions", () => {
  const raw = ["X-One", "1", "Connection", "close, X-ONE", "connection", "x-two", "X-Two", "2", "X-Three", "3"];
  expect(requestHeaders(raw, undefined)).toEqual(["X-Three", "3"]);
  const headers = { connection: ["close, X-ONE", "x-two"], "x-one": "1", "x-two": "2", "x-three": ["3", "4"] };
  expect(responseHeaders(headers)).toEqual({ "x-three": ["3", "4"] });
});

test("host, expectation and the addresses told so far are made anew", () => {
  const raw = [
    "Host",
    "example.org",
    "Expect",
    "100-continue",
    "x-forwarded-for",
    "1.1.1.1",
    "X-Forwarded-For",
    "2.2.2.2",
  ];
  expect(requestHeaders(raw, "1.1.1.1, 2.2.2.2, 3.3.3.3")).toEqual(["X-Forwarded-For", "1.1.1.1, 2.2.2.2, 3.3.3.3"]);
});
