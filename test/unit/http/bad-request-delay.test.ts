import { expect, test } from "@jest/globals";
import { BadRequestDelay } from "../../../src/http/bad-request-delay.ts";
import type { DeviceName } from "../../../src/model/calling-device.ts";

const PHONE = { userId: "@a:x", deviceId: "PHONE" } as DeviceName;

test("the first two errors are free, and each one after them is held back", () => {
  const delay = new BadRequestDelay({ nowMs: () => 1000 });
  expect([1, 2, 3, 4].map(() => delay.onError(PHONE))).toEqual([0, 0, 1000, 1000]);
  expect(delay.onError({ ...PHONE, deviceId: "TABLET" } as DeviceName)).toBe(0);
});

test("a success, or a minute without errors, forgives", () => {
  let nowMs = 1000;
  const delay = new BadRequestDelay({ nowMs: () => nowMs });
  for (let n = 0; n < 3; n++) delay.onError(PHONE);
  delay.onSuccess(PHONE);
  expect(delay.onError(PHONE)).toBe(0);
  delay.onError(PHONE);
  expect(delay.onError(PHONE)).toBe(1000);
  nowMs += 60_001;
  expect(delay.onError(PHONE)).toBe(0);
});
