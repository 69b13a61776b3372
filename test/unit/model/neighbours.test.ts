import { expect, test } from "@jest/globals";
import fc from "fast-check";
import { endOfNeighbours } from "../../../src/model/neighbours.ts";

test("neighbours end where the number without its low bits is another", () => {
  const numbers = fc.uniqueArray(fc.integer({ min: 1, max: 60 }), { minLength: 1, maxLength: 60 });
  fc.assert(
    fc.property(numbers, fc.integer({ min: 0, max: 4 }), (unsorted, bits) => {
      const rooms = Int32Array.from(unsorted).sort();
      for (const [start, room] of rooms.entries()) {
        const others = rooms.findIndex((other, index) => index > start && other >> bits !== room >> bits);
        expect(endOfNeighbours(rooms, start, bits)).toBe(others < 0 ? rooms.length : others);
      }
    }),
    { numRuns: 1000 },
  );
});
