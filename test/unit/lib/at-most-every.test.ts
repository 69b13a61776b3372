import { afterEach, beforeEach, expect, jest, test } from "@jest/globals";
import { AtMostEvery } from "../../../src/lib/at-most-every.ts";

beforeEach(() => void jest.useFakeTimers());
afterEach(() => void jest.useRealTimers());

test("calls at once, then once at the end of the time for all requests within it", () => {
  const calls: string[] = [];
  using often = new AtMostEvery<string>(1_000, (key) => calls.push(key));
  for (let count = 0; count < 5; count++) often.request("a");
  expect(calls).toEqual(["a"]);
  jest.advanceTimersByTime(999);
  expect(calls).toEqual(["a"]);
  jest.advanceTimersByTime(1);
  expect(calls).toEqual(["a", "a"]);
  jest.advanceTimersByTime(10_000);
  expect(calls).toEqual(["a", "a"]);
  often.request("a");
  expect(calls).toEqual(["a", "a", "a"]);
});

test("keys do not wait for each other", () => {
  const calls: string[] = [];
  using often = new AtMostEvery<string>(1_000, (key) => calls.push(key));
  for (const key of ["a", "b", "a"]) often.request(key);
  expect(calls).toEqual(["a", "b"]);
});

test("a request that a call makes itself leads to another call, later", () => {
  const calls: string[] = [];
  using often: AtMostEvery<string> = new AtMostEvery<string>(1_000, (key) => {
    calls.push(key);
    if (calls.length === 1) often.request(key);
  });
  often.request("a");
  expect(calls).toEqual(["a"]);
  jest.advanceTimersByTime(1_000);
  expect(calls).toEqual(["a", "a"]);
});

test("nothing is called and no timer left once it is disposed", () => {
  const calls: string[] = [];
  const often = new AtMostEvery<string>(1_000, (key) => calls.push(key));
  for (let count = 0; count < 2; count++) often.request("a");
  often[Symbol.dispose]();
  expect(jest.getTimerCount()).toBe(0);
  jest.advanceTimersByTime(10_000);
  expect(calls).toEqual(["a"]);
});
