import { getEventListeners } from "node:events";
import { expect, test } from "@jest/globals";
import { Wait } from "../../../src/lib/wait.ts";

const LONG_MS = 60_000;
/** The test runner has a few of its own. */
const OTHERS_TIMERS = 100;
const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;

test("a call ends the wait", async () => {
  using wait = new Wait(LONG_MS, new AbortController().signal);
  const next = wait.next();
  wait.call();
  await next;
  expect([wait.isCalled, wait.isOver]).toEqual([true, false]);
});

test("a call before the wait ends it at once", async () => {
  using wait = new Wait(LONG_MS, new AbortController().signal);
  wait.call();
  await wait.next();
  wait.rearm();
  expect(wait.isCalled).toBe(false);
  const next = wait.next();
  wait.call();
  await next;
});

test("the wait is over after its time", async () => {
  using wait = new Wait(1, new AbortController().signal);
  await wait.next();
  expect([wait.isCalled, wait.isOver]).toEqual([false, true]);
  await wait.next();
});

test("the wait is over when the signal aborts", async () => {
  const ended = new AbortController();
  using wait = new Wait(LONG_MS, ended.signal);
  const next = wait.next();
  ended.abort();
  await next;
  expect(wait.isOver).toBe(true);
  using late = new Wait(LONG_MS, ended.signal);
  await late.next();
});

test("a wait that is disposed leaves no timer and no listener", async () => {
  const ended = new AbortController();
  for (let round = 0; round < 1000; round++) {
    using wait = new Wait(LONG_MS, ended.signal);
    wait.call();
    await wait.next();
  }
  expect(getEventListeners(ended.signal, "abort")).toEqual([]);
  expect(timers()).toBeLessThan(OTHERS_TIMERS);
});
