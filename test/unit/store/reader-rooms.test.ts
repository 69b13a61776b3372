import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { Membership } from "../../../src/model/membership.ts";
import { ReaderRooms } from "../../../src/store/reader-rooms.ts";
import { NO_ORDER_KEY, type ReaderRows } from "../../../src/store/reader-selects.ts";

const entry = fc.record({
  room: fc.integer({ min: 1, max: 30 }),
  changed: fc.integer({ min: 1, max: 1_000 }),
  membership: fc.constantFrom(Membership.join, Membership.join, Membership.invite, Membership.leave),
});
type Entry = typeof entry extends fc.Arbitrary<infer T> ? T : never;
const entries = fc.uniqueArray(entry, { maxLength: 10, selector: ({ room }) => room });

function rowsOf(rooms: readonly Entry[]): ReaderRows {
  const sorted = rooms.toSorted((a, b) => a.room - b.room);
  return {
    rooms: Int32Array.from(sorted, ({ room }) => room),
    memberships: Uint8Array.from(sorted, ({ membership }) => membership),
    endings: new Uint8Array(sorted.length),
    changed: Float64Array.from(sorted, ({ changed }) => changed),
    since: new Float64Array(sorted.length),
    sinceUs: new Map(),
    sinceOrderKeys: new Float64Array(sorted.length).fill(NO_ORDER_KEY),
    heroesAt: new Map(),
    counts: new Map(),
    stripped: new Map(),
  };
}

test("no change of a reader in a room is newer than the newest one", () => {
  fc.assert(
    fc.property(entries, fc.array(entries, { maxLength: 5 }), (first, later) => {
      const rooms = new ReaderRooms(rowsOf(first), () => undefined);
      for (const some of later) rooms.apply(rowsOf(some));
      const all = Array.from({ length: rooms.size }, (_, index) => rooms.changedAt(index));
      expect(rooms.newestChange).toBeGreaterThanOrEqual(Math.max(0, ...all));
      const told = [...first, ...later.flat()].map(({ changed }) => changed);
      expect(rooms.newestChange).toBe(Math.max(0, ...told));
    }),
    { numRuns: 1000 },
  );
});

test("the rooms that a reader is not in are known one by one", () => {
  fc.assert(
    fc.property(entries, fc.array(entries, { maxLength: 5 }), (first, later) => {
      const rooms = new ReaderRooms(rowsOf(first), () => undefined);
      for (const some of [[], ...later]) {
        rooms.apply(rowsOf(some));
        const indexes = Array.from({ length: rooms.size }, (_, index) => index);
        const outside = indexes.filter((index) => rooms.membership(index) !== Membership.join);
        expect([...rooms.columns.outside]).toEqual(outside);
      }
    }),
    { numRuns: 1000 },
  );
});
