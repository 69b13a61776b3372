import type { Row } from "./row.ts";
import { connectionRows } from "./rows/connections.ts";
import { coreRows } from "./rows/core.ts";
import { accountDataRows } from "./rows/extensions-account-data.ts";
import { e2eeRows } from "./rows/extensions-e2ee.ts";
import { receiptRows } from "./rows/extensions-receipts.ts";
import { roomSelectionRows } from "./rows/extensions-rooms.ts";
import { toDeviceRows } from "./rows/extensions-to-device.ts";
import { typingRows } from "./rows/extensions-typing.ts";
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

const byNumber = (a: Row, b: Row): number => a.number - b.number;

/** All rows of rooms and lists, by number. */
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
].toSorted(byNumber);

/** All rows of extensions, by number. */
export const EXTENSION_ROWS: readonly Row[] = [
  ...accountDataRows,
  ...e2eeRows,
  ...receiptRows,
  ...roomSelectionRows,
  ...toDeviceRows,
  ...typingRows,
].toSorted(byNumber);

export const TRIED_ON: Readonly<Record<"Synapse" | "Slidecar", readonly Row[]>> = {
  Synapse: [...ROWS, ...EXTENSION_ROWS],
  // Those of extensions follow when it serves any; the page tells of what is tried here.
  Slidecar: [...ROWS, ...EXTENSION_ROWS],
};
