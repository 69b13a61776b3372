import type { Row } from "./row.ts";
import { connectionRows } from "./rows/connections.ts";
import { coreRows } from "./rows/core.ts";
import { inviteRows } from "./rows/invites.ts";
import { lazyMemberRows } from "./rows/lazy-members.ts";
import { requiredStateRows } from "./rows/required-state.ts";

/** All rows, by number. */
export const ROWS: readonly Row[] = [
  ...coreRows,
  ...connectionRows,
  ...inviteRows,
  ...lazyMemberRows,
  ...requiredStateRows,
].toSorted((a, b) => a.number - b.number);
