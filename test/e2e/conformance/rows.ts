import type { Row } from "./row.ts";
import { connectionRows } from "./rows/connections.ts";
import { coreRows } from "./rows/core.ts";
import { filterRows } from "./rows/filters.ts";
import { heroRows } from "./rows/heroes.ts";
import { inviteRows } from "./rows/invites.ts";
import { lazyMemberRows } from "./rows/lazy-members.ts";
import { metaRows } from "./rows/meta.ts";
import { requiredStateRows } from "./rows/required-state.ts";
import { roomTypeFilterRows } from "./rows/room-type-filters.ts";
import { stateChangeRows } from "./rows/state-changes.ts";
import { subscriptionRows } from "./rows/subscriptions.ts";
import { timelineRows } from "./rows/timeline.ts";

/** All rows, by number. */
export const ROWS: readonly Row[] = [
  ...connectionRows,
  ...coreRows,
  ...filterRows,
  ...heroRows,
  ...inviteRows,
  ...lazyMemberRows,
  ...metaRows,
  ...requiredStateRows,
  ...roomTypeFilterRows,
  ...stateChangeRows,
  ...subscriptionRows,
  ...timelineRows,
].toSorted((a, b) => a.number - b.number);
