import { expect, test } from "@jest/globals";
import type { DeviceNid, UserNid } from "../../../src/model/ids.ts";
import type { StreamPosition } from "../../../src/model/stream-position.ts";
import { Stream } from "../../../src/stream/stream.ts";

const LONG_MS = 60_000;
const never = new AbortController().signal;
const [alice, bob] = [1 as UserNid, 2 as UserNid];
const at = (position: number) => position as StreamPosition;
const moved = (position: number, users: readonly UserNid[] = [], devices: readonly number[] = []) => ({
  position: at(position),
  users: new Set(users),
  syncedDevices: new Set(devices as DeviceNid[]),
  refusedDevices: new Set<DeviceNid>(),
});

function counted() {
  const calls = { count: 0, call: () => void calls.count++ };
  return calls;
}

test("only those whom a change concerns are called, each time", () => {
  const stream = new Stream();
  const [ofAlice, ofBob] = [counted(), counted()];
  using _alice = stream.onMoved(alice, ofAlice.call);
  using _bob = stream.onMoved(bob, ofBob.call);
  stream.advance(moved(1, [alice]));
  stream.advance(moved(2, [alice]));
  stream.advance(moved(3));
  expect([ofAlice.count, ofBob.count]).toEqual([2, 0]);
});

test("the position has moved when the call comes", () => {
  const stream = new Stream();
  let seen = 0;
  using _moved = stream.onMoved(alice, () => {
    seen = stream.position;
  });
  stream.advance(moved(5, [alice]));
  expect(seen).toBe(5);
});

test("a user is waited for as long as somebody waits", () => {
  const stream = new Stream();
  const { call, ...calls } = counted();
  {
    using _one = stream.onMoved(alice, call);
    {
      using _other = stream.onMoved(alice, call);
    }
    expect(stream.isWaitedFor(alice)).toBe(true);
  }
  expect(stream.isWaitedFor(alice)).toBe(false);
  stream.advance(moved(1, [alice]));
  expect(calls.count).toBe(0);
});

test("one may stop to wait, or begin, while it is called", () => {
  const stream = new Stream();
  const late = counted();
  const first = stream.onMoved(alice, () => {
    first[Symbol.dispose]();
    stream.onMoved(alice, late.call);
  });
  stream.advance(moved(1, [alice]));
  expect(late.count).toBe(0);
  stream.advance(moved(2, [alice]));
  expect(late.count).toBe(1);
});

test("a device is told of its own sync alone", () => {
  const stream = new Stream();
  const synced = counted();
  using _synced = stream.onSynced(7 as DeviceNid, synced.call);
  stream.advance(moved(1, [], [8]));
  expect(synced.count).toBe(0);
  stream.advance(moved(2, [], [7]));
  expect(synced.count).toBe(1);
});

test("nothing is reached before memory is loaded", async () => {
  const stream = new Stream();
  expect(await stream.reached(at(0), 1, never)).toBe(false);
  const reaching = stream.reached(at(0), LONG_MS, never);
  stream.advance(moved(0));
  expect(await reaching).toBe(true);
});

test("a position is reached when the stream comes to it or beyond", async () => {
  const stream = new Stream();
  stream.advance(moved(1));
  const reaching = stream.reached(at(5), LONG_MS, never);
  stream.advance(moved(4));
  stream.advance(moved(6));
  expect(await reaching).toBe(true);
  expect(await stream.reached(at(5), 0, never)).toBe(true);
});

test("who waits for a position is let go after a time, or when the signal aborts", async () => {
  const stream = new Stream();
  stream.advance(moved(1));
  expect(await stream.reached(at(5), 1, never)).toBe(false);
  const ended = new AbortController();
  const reaching = stream.reached(at(5), LONG_MS, ended.signal);
  ended.abort();
  expect(await reaching).toBe(false);
});
