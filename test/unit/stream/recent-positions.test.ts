import { expect, test } from "@jest/globals";
import { BEFORE_ALL, type StreamPosition } from "../../../src/model/stream-position.ts";
import { RecentPositions } from "../../../src/stream/recent-positions.ts";

const START_MS = 1_000_000;

function started() {
  const clock = {
    ms: START_MS,
    nowMs() {
      return this.ms;
    },
  };
  const recent = new RecentPositions(clock);
  /** So much later the process is at the position. */
  const note = (position: number, afterMs: number) => {
    clock.ms += afterMs;
    recent.note(position as StreamPosition);
  };
  const reachedMs = (position: number) => {
    const ms = recent.reachedMs(position as StreamPosition);
    return ms === undefined ? undefined : ms - START_MS;
  };
  return { note, reachedMs, at: (ms: number) => recent.at(START_MS + ms) };
}

test("where the process begins it has been for long", () => {
  const { note, reachedMs, at } = started();
  expect([at(0), reachedMs(5)]).toEqual([BEFORE_ALL, undefined]);
  note(5, 0);
  expect([at(0), at(-1_000), reachedMs(5), reachedMs(4)]).toEqual([5, 5, undefined, undefined]);
});

test("a position was reached with the first one that is not below it", () => {
  const { note, reachedMs, at } = started();
  note(5, 0);
  note(10, 100);
  note(20, 100);
  expect([at(99), at(100), at(199), at(200), at(10_000)]).toEqual([5, 10, 10, 20, 20]);
  expect([reachedMs(6), reachedMs(10), reachedMs(11), reachedMs(21)]).toEqual([100, 100, 200, undefined]);
});

test("positions that come close upon each other count as reached with the first of them", () => {
  const { note, reachedMs, at } = started();
  note(5, 0);
  note(10, 100);
  note(11, 5);
  note(12, 4);
  note(13, 1);
  expect([at(100), at(109), at(110)]).toEqual([12, 12, 13]);
  expect([reachedMs(12), reachedMs(13)]).toEqual([100, 110]);
});

test("what was reached more than two seconds ago is one", () => {
  const { note, reachedMs, at } = started();
  note(5, 0);
  note(10, 100);
  note(20, 400);
  note(30, 2_400);
  expect([at(100), at(500), at(2_899), at(2_900)]).toEqual([10, 20, 20, 30]);
  expect([reachedMs(10), reachedMs(20), reachedMs(30)]).toEqual([undefined, 500, 2_900]);
});
