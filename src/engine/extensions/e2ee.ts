import type { DeviceListChange } from "../../model/extension-reads.ts";
import { BEFORE_ALL } from "../../model/stream-position.ts";
import type { DeviceListsAnswer, E2eeAnswer } from "../response.ts";
import type { Extension } from "./extension.ts";

/** Whose devices changed, and which keys of this device are left (MSC3884, MSC4543). */
export const e2ee: Extension<true, E2eeAnswer> = (_asked, { view: { device }, from }) => {
  const haveChanged = from !== undefined && device.listsAt > from;
  return {
    reads: () => (haveChanged ? { deviceLists: { after: from } } : {}),
    say: ({ deviceLists }) => ({
      answer: {
        // A client that begins asks for the devices of all whom it has to do with.
        deviceLists: from === undefined ? undefined : netOf(deviceLists),
        oneTimeKeys: device.oneTimeKeys,
        fallbackKeys: device.fallbackKeys,
      },
      // More keys are what the client has just uploaded.
      isNews: deviceLists.length > 0 || device.fewerKeysAt > (from ?? BEFORE_ALL),
    }),
  };
};

/** The last word on each user counts. */
function netOf(changes: readonly DeviceListChange[]): DeviceListsAnswer {
  const last = new Map(changes.map(({ userId, hasLeft }) => [userId, hasLeft]));
  const users = [...last.keys()];
  return {
    changed: users.filter((userId) => last.get(userId) === false),
    left: users.filter((userId) => last.get(userId) === true),
  };
}
