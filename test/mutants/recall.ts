import type { Mutant } from "./mutant.ts";

const READING = "src/intake/recall/read-departed.ts";
const READS = "test/unit/intake/read-departed.test.ts";
const SERVICE = "test/service/left-rooms.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "of a room that was left what came after is told",
    file: READING,
    find: "departureIn(last, userId) !== departureId || !wasIn(last)",
    replace: "!wasIn(last ?? {})",
    test: READS,
  },
  {
    name: "who is back while a room is read as they left it is taken for gone",
    file: READING,
    find: "(await ownDeparture()) !== departureId",
    replace: "(await ownDeparture()) === null",
    test: READS,
  },
  {
    name: "an invite that ended shows its room",
    file: READING,
    find: " || !wasIn(last)",
    replace: "",
    test: READS,
  },
  {
    name: "a room that was left long ago comes into lists when it is asked for",
    file: "src/engine/lists/list-answers.ts",
    find: "const isRecalled = rooms.isRecalled(index);",
    replace: "const isRecalled = rooms.size < 0;",
    test: "test/unit/engine/recalled-rooms.test.ts",
  },
  {
    name: "a forgotten room is shown to who subscribes to it",
    file: "src/engine/plan.ts",
    find: "connection.rooms.has(room) || !view.rooms.isForgotten(index)",
    replace: "connection.rooms.has(room) || view.rooms.size > 0",
    test: "test/unit/engine/plan.test.ts",
  },
  {
    name: "any number of rooms is asked for",
    file: "src/store/recalls.ts",
    find: "MAX_IN_HOUR = 60;",
    replace: "MAX_IN_HOUR = 6_000;",
    test: SERVICE,
  },
];
