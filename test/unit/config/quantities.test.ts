import { expect, test } from "@jest/globals";
import { formatDuration, formatSize, parseDuration, parseSize } from "../../../src/config/quantities.ts";

test.each([
  ["250ms", 250],
  ["10s", 10_000],
  ["2m", 120_000],
  ["1h", 3_600_000],
  ["7d", 604_800_000],
  ["0s", 0],
])("the duration %s is %d ms", (text, ms) => {
  expect(parseDuration(text)).toBe(ms);
});

test.each([
  "",
  "10",
  "s",
  "ten",
  "-1s",
  "1.5s",
  "10 s",
  "10S",
  "1s2",
  "99999999999999d",
  "1e3s",
])("%p is no duration", (text) => {
  expect(parseDuration(text)).toBeUndefined();
});

test.each([
  ["512B", 512],
  ["16KiB", 16_384],
  ["1MiB", 1_048_576],
  ["2GiB", 2_147_483_648],
])("the size %s is %d bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

test.each(["1MB", "1M", "1mib", "MiB", "1.5MiB"])("%p is no size", (text) => {
  expect(parseSize(text)).toBeUndefined();
});

test("a quantity is written in the largest unit that divides it and reads back as the same", () => {
  expect([0, 1, 1500, 90_000, 1_800_000, 86_400_000].map(formatDuration)).toEqual([
    "0ms",
    "1ms",
    "1500ms",
    "90s",
    "30m",
    "1d",
  ]);
  expect([1, 1024, 1_048_577].map(formatSize)).toEqual(["1B", "1KiB", "1048577B"]);
  for (const ms of [0, 1, 999, 61_000, 5_400_000]) expect(parseDuration(formatDuration(ms))).toBe(ms);
});
