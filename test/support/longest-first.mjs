// jest sequencer: files that take long begin first, so that no processor waits for one of them in the end.
import { statSync } from "node:fs";
import Sequencer from "@jest/test-sequencer";

/** What takes longest, by the beginning of the path within test/. */
const ORDER = [
  "kills/intake",
  "kills/",
  "service/first-window",
  "service/store-embedded.",
  "properties/read-model",
  "service/traps",
  "service/intake",
  "properties/",
  "service/",
];

const rankOf = (path) => {
  const rank = ORDER.findIndex((beginning) => path.includes(`/test/${beginning}`));
  return rank < 0 ? ORDER.length : rank;
};

// biome-ignore lint/style/noDefaultExport: jest takes the default export.
export default class LongestFirst extends Sequencer {
  sort(tests) {
    const byLength = tests.map((test) => ({ test, rank: rankOf(test.path), bytes: statSync(test.path).size }));
    byLength.sort((a, b) => a.rank - b.rank || b.bytes - a.bytes);
    return byLength.map(({ test }) => test);
  }
}
