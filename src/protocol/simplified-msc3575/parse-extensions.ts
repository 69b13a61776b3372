import type { ExtensionsRequest, ToDeviceRequest } from "../../engine/request.ts";
import { parseToDeviceToken } from "../shared/to-device-token.ts";
import type { WireValue } from "../shared/wire-value.ts";

/** To-device messages of one answer, at most; also where more are asked for, as homeservers do (MSC4538). */
const MAX_TO_DEVICE = 100;

/** Those that are switched on. What is not offered is passed over. */
export const parseExtensions = (wire: WireValue): ExtensionsRequest => ({
  toDevice: enabled(wire.at("to_device"))?.optional(parseToDevice),
  e2ee: enabled(wire.at("e2ee")) && true,
});

const enabled = (wire: WireValue): WireValue | undefined =>
  wire.optional((value) => (value.at("enabled").optional((flag) => flag.boolean()) === true ? value : undefined));

function parseToDevice(wire: WireValue): ToDeviceRequest {
  const limit = wire.at("limit").optional((value) => value.count()) ?? MAX_TO_DEVICE;
  return {
    since: wire.at("since").optional((value) => parseToDeviceToken(value.text())),
    limit: Math.max(1, Math.min(limit, MAX_TO_DEVICE)),
  };
}
