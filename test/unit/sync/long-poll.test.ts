import { getEventListeners } from "node:events";
import { setImmediate as immediate } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import type { SyncOutcome } from "../../../src/engine/assemble.ts";
import type { UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Stream } from "../../../src/stream/stream.ts";
import { longPoll } from "../../../src/sync/long-poll.ts";

const LONG_MS = 60_000;
/** The test runner has a few of its own. */
const OTHERS_TIMERS = 100;
const alice = 1 as UserNid;
const bob = 2 as UserNid;
const outcome = (hasNews: boolean) => ({ hasNews }) as SyncOutcome;

/** A poll of alice whose computing finds what `news` says by turns. */
function poll(stream: Stream, news: readonly (boolean | (() => Promise<boolean>))[], more: Partial<Poll> = {}) {
  const state = { computed: 0, waiting: 0 };
  const result = longPoll(stream, {
    userNid: alice,
    timeoutMs: LONG_MS,
    signal: new AbortController().signal,
    compute: async () => {
      const next = news[state.computed++] ?? false;
      return { outcome: outcome(typeof next === "boolean" ? next : await next()), newsInMs: undefined };
    },
    onWaiting: (change) => {
      state.waiting += change;
    },
    ...more,
  });
  return { state, result };
}
type Poll = Parameters<typeof longPoll>[1];

const move = (stream: Stream, ...users: readonly UserNid[]) =>
  stream.advance({
    position: (stream.position + 1) as StreamPosition,
    users: new Set(users),
    syncedDevices: new Set(),
    refusedDevices: new Set(),
  });

test("news that are there are told at once", async () => {
  const { result } = poll(new Stream(), [true]);
  expect(await result).toEqual({ outcome: outcome(true), hasWaited: false });
});

test("without a timeout nothing is waited for", async () => {
  const stream = new Stream();
  const { result, state } = poll(stream, [false], { timeoutMs: 0 });
  expect(await result).toEqual({ outcome: outcome(false), hasWaited: false });
  expect([state.computed, stream.isWaitedFor(alice)]).toEqual([1, false]);
});

test("a change that concerns the user is looked at, and ends the wait only when it is news", async () => {
  const stream = new Stream();
  const { result, state } = poll(stream, [false, false, true]);
  await immediate();
  expect(state).toEqual({ computed: 1, waiting: 1 });
  move(stream, bob);
  await immediate();
  expect(state.computed).toBe(1);
  move(stream, alice);
  await immediate();
  expect(state).toEqual({ computed: 2, waiting: 1 });
  move(stream, alice);
  expect(await result).toEqual({ outcome: outcome(true), hasWaited: true });
  expect(state.waiting).toBe(0);
});

test("a change between the reading and the waiting is not missed", async () => {
  const stream = new Stream();
  const stored = async () => {
    await immediate();
    move(stream, alice);
    return false;
  };
  const { result, state } = poll(stream, [stored, true]);
  expect((await result).outcome.hasNews).toBe(true);
  expect(state.computed).toBe(2);
});

test("after its time the poll is answered with what it found last, without looking again", async () => {
  const { result, state } = poll(new Stream(), [false], { timeoutMs: 1 });
  expect(await result).toEqual({ outcome: outcome(false), hasWaited: true });
  expect(state).toEqual({ computed: 1, waiting: 0 });
});

test("a poll whose signal aborts is answered with what there is", async () => {
  const stream = new Stream();
  const ended = new AbortController();
  const { result, state } = poll(stream, [false], { signal: ended.signal });
  await immediate();
  ended.abort();
  expect((await result).outcome.hasNews).toBe(false);
  expect(state.computed).toBe(1);
  const late = poll(stream, [true], { signal: ended.signal });
  expect((await late.result).outcome.hasNews).toBe(true);
});

test("what becomes news by time alone is looked at then, and ends the wait", async () => {
  let newsInMs: number | undefined = 1;
  let computed = 0;
  const { result, state } = poll(new Stream(), [], {
    compute: async () => {
      computed += 1;
      const found = { outcome: outcome(computed === 3), newsInMs };
      if (computed === 2) newsInMs = undefined;
      return found;
    },
  });
  expect(await result).toEqual({ outcome: outcome(true), hasWaited: true });
  expect([computed, state.waiting]).toEqual([3, 0]);
});

test("a poll that fails stops waiting", async () => {
  const stream = new Stream();
  const broken = async () => {
    throw new Error("broken");
  };
  const { result } = poll(stream, [false, broken]);
  await immediate();
  move(stream, alice);
  await expect(result).rejects.toThrow("broken");
  expect(stream.isWaitedFor(alice)).toBe(false);
});

test("ten thousand polls leave no timer, no listener and no waiter behind", async () => {
  const stream = new Stream();
  const { signal } = new AbortController();
  const timers = () => process.getActiveResourcesInfo().filter((name) => name === "Timeout").length;
  const polls = Array.from({ length: 10_000 }, () => poll(stream, [false, true], { signal }).result);
  await immediate();
  expect(timers()).toBeGreaterThanOrEqual(10_000);
  move(stream, alice);
  await Promise.all(polls);
  expect(timers()).toBeLessThan(OTHERS_TIMERS);
  expect(getEventListeners(signal, "abort")).toEqual([]);
  expect(stream.isWaitedFor(alice)).toBe(false);
});
