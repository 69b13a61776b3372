import { expect, test } from "@jest/globals";
import fc from "fast-check";
import type { RoomNid, UserNid } from "../../../src/model/ids.ts";
import { RoomReaders } from "../../../src/store/room-readers.ts";

const user = fc.integer({ min: 1, max: 4 }) as fc.Arbitrary<UserNid>;
const room = fc.constantFrom(1, 2, 1023, 1024, 100_000) as fc.Arbitrary<RoomNid>;
const step = fc.record({ user, room, isAdded: fc.boolean() });

test("readers of a room are those that were added and not removed", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const readers = new RoomReaders();
      const expected = new Map<RoomNid, Set<UserNid>>();
      for (const { user, room, isAdded } of steps) {
        const known = expected.get(room) ?? new Set();
        expected.set(room, known);
        if (isAdded && !known.has(user)) readers.addAll(user, [room]);
        if (!isAdded) readers.removeAll(user, [room]);
        if (isAdded) known.add(user);
        else known.delete(user);
        const found = new Set<UserNid>();
        readers.addTo(found, room);
        expect(found).toEqual(known);
      }
    }),
    { numRuns: 1000 },
  );
});
