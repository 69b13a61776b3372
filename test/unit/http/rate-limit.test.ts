import { expect, test } from "@jest/globals";
import { LimitExceededError } from "../../../src/http/client-errors.ts";
import { RateLimit } from "../../../src/http/rate-limit.ts";
import type { DeviceName } from "../../../src/model/calling-device.ts";

const device = (userId: string, deviceId: string) => ({ userId, deviceId }) as DeviceName;
const PHONE = device("@a:x", "PHONE");

/** How many of `requests` are let through. */
function allowed(limit: RateLimit, requests: number): number {
  let count = 0;
  for (let n = 0; n < requests; n++) {
    try {
      limit.take(PHONE);
      count++;
    } catch (error) {
      expect(error).toBeInstanceOf(LimitExceededError);
    }
  }
  return count;
}

test("a device has a burst of sixty, then twenty a second", () => {
  let nowMs = 1000;
  const limit = new RateLimit({ nowMs: () => nowMs });
  expect(allowed(limit, 100)).toBe(60);
  nowMs += 1000;
  expect(allowed(limit, 100)).toBe(20);
  nowMs += 125;
  expect(allowed(limit, 100)).toBe(2);
  nowMs += 60_000;
  expect(allowed(limit, 100)).toBe(60);
});

test("what it says is when the next request is let through", () => {
  let nowMs = 1000;
  const limit = new RateLimit({ nowMs: () => nowMs });
  allowed(limit, 60);
  nowMs += 20;
  const refused = expect(() => limit.take(PHONE));
  refused.toThrow(expect.objectContaining({ retryAfterMs: 30 }));
  nowMs += 30;
  expect(allowed(limit, 2)).toBe(1);
});

test("requests that are refused do not push the next one further away, nor does a clock that steps back", () => {
  let nowMs = 1000;
  const limit = new RateLimit({ nowMs: () => nowMs });
  allowed(limit, 500);
  nowMs -= 500;
  expect(allowed(limit, 1)).toBe(0);
  nowMs += 50;
  expect(allowed(limit, 2)).toBe(1);
});

test("devices of one user, and users with one device id, are apart", () => {
  const limit = new RateLimit({ nowMs: () => 0 });
  allowed(limit, 60);
  for (const other of [device("@a:x", "TABLET"), device("@b:x", "PHONE"), device("@a:x", "")]) {
    expect(() => limit.take(other)).not.toThrow();
  }
});
