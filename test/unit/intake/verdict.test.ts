import { describe, expect, test } from "@jest/globals";
import { MAX_OWN_WAIT_MS, MAX_WAIT_MS, type PollFault, verdictOf } from "../../../src/intake/poller/verdict.ts";

const status = (code: number, retryAfterMs?: number): PollFault => ({
  kind: "status",
  status: code,
  errcode: undefined,
  retryAfterMs,
});

const waitOf = (fault: PollFault, failures: number, jitter = 0): number => {
  const verdict = verdictOf(fault, failures, jitter);
  if (verdict.next !== "again") throw new Error(`stops: ${verdict.reason}`);
  return verdict.afterMs;
};

describe("a failed poll", () => {
  test("that was refused for its token is the last one", () => {
    expect(verdictOf(status(401), 1, 0)).toEqual({ next: "stop", reason: "token-refused" });
    expect(verdictOf(status(401, 5_000), 9, 0.5)).toEqual({ next: "stop", reason: "token-refused" });
  });

  test.each([
    ["400", status(400)],
    ["403", status(403)],
    ["404", status(404)],
    ["429", status(429)],
    ["500", status(500)],
    ["502", status(502)],
    ["504", status(504)],
    ["200 without a sync response", { kind: "malformed" }],
    ["unreachable", { kind: "unreachable" }],
    ["timeout", { kind: "timeout" }],
  ] as [string, PollFault][])("is repeated after 1, 2, 4 … 60 seconds: %s", (_, fault) => {
    expect([1, 2, 3, 6, 7, 100].map((failures) => waitOf(fault, failures))).toEqual([
      1_000, 2_000, 4_000, 32_000, 60_000, 60_000,
    ]);
  });

  test("for a reason of our own is repeated sooner", () => {
    expect([1, 2, 3, 4, 100].map((failures) => waitOf({ kind: "own" }, failures))).toEqual([
      1_000,
      2_000,
      4_000,
      MAX_OWN_WAIT_MS,
      MAX_OWN_WAIT_MS,
    ]);
  });

  test("waits as long as the homeserver asks, within bounds", () => {
    expect(waitOf(status(429, 7_000), 1)).toBe(7_000);
    expect(waitOf(status(429, 500), 1)).toBe(1_000);
    expect(waitOf(status(503, 10 * MAX_WAIT_MS), 1)).toBe(MAX_WAIT_MS);
  });

  test("waits up to a quarter longer by chance, so that pollers do not come all at once", () => {
    expect(waitOf(status(500), 1, 0.5)).toBe(1_125);
    expect(waitOf(status(500), 20, 0.999)).toBe(Math.round(MAX_WAIT_MS * 1.24975));
  });
});
