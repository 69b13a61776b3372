import type { DeviceId, UserNid } from "../../src/model/ids.ts";
import type { ConnectionKey } from "../../src/store/connections.ts";

let devices = 0;

/** A connection's key of a device that has none yet. */
export const newKey = (connId = "main"): ConnectionKey => ({
  userNid: 1 as UserNid,
  deviceId: `DEVICE${devices++}` as DeviceId,
  connId,
});
