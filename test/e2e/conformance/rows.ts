import type { Row } from "./row.ts";
import { coreRows } from "./rows/core.ts";

/** All rows, by number. */
export const ROWS: readonly Row[] = [...coreRows].toSorted((a, b) => a.number - b.number);
