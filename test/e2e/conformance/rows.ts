import type { Row } from "./row.ts";
import { coreRows } from "./rows/core.ts";
import { lazyMemberRows } from "./rows/lazy-members.ts";
import { requiredStateRows } from "./rows/required-state.ts";

/** All rows, by number. */
export const ROWS: readonly Row[] = [...coreRows, ...lazyMemberRows, ...requiredStateRows].toSorted(
  (a, b) => a.number - b.number,
);
