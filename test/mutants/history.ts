import type { Mutant } from "./mutant.ts";

const PLACE = "src/intake/ingest/place-history.ts";
const PLACING = "test/unit/intake/place-history.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "history that is not open to all members is brought in",
    file: PLACE,
    find: "const from = visibilities.findLastIndex((each) => !isOpen(each)) + 1;",
    replace: "const from = Math.min(0, visibilities.length);",
    test: PLACING,
  },
  {
    name: "history that contradicts the order of the room is put into it",
    file: PLACE,
    find: "landmarks.at(-1) === undefined || !isInOrder || !fillsHoles(landmarks)",
    replace: "landmarks.at(-1) === undefined",
    test: PLACING,
  },
  {
    name: "history as one who ignores somebody sees it attests for everybody",
    file: "src/intake/ingest/timeline-draft.ts",
    find: "placeHistory(landmarks, this.#chunks.tail(), attestedBy(source))",
    replace: "placeHistory(landmarks, this.#chunks.tail(), undefined)",
    test: "test/properties/intake-order.property.test.ts",
  },
];
