import type { ExtensionScope, ExtensionsRequest, ToDeviceRequest } from "../../engine/request.ts";
import { isRoomId } from "../../model/ids.ts";
import { parseToDeviceToken } from "../shared/to-device-token.ts";
import type { WireValue } from "../shared/wire-value.ts";

/** To-device messages of one answer, at most; also where more are asked for, as homeservers do (MSC4538). */
const MAX_TO_DEVICE = 100;

/** Those that are switched on. What is not offered is passed over. */
export const parseExtensions = (wire: WireValue): ExtensionsRequest => ({
  toDevice: enabled(wire.at("to_device"))?.optional(parseToDevice),
  e2ee: enabled(wire.at("e2ee")) && true,
  accountData: enabled(wire.at("account_data"))?.optional(parseScope),
  receipts: enabled(wire.at("receipts"))?.optional(parseScope),
  typing: enabled(wire.at("typing"))?.optional(parseScope),
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

const parseScope = (wire: WireValue): ExtensionScope => ({
  lists: parseNames(wire.at("lists"), isText),
  rooms: parseNames(wire.at("rooms"), isRoomId),
});

/** Left out means all, and so does `"*"` wherever it stands; `null` means none. What can be no name is passed over. */
function parseNames<Name extends string>(
  wire: WireValue,
  isName: (value: unknown) => value is Name,
): "all" | ReadonlySet<Name> {
  if (wire.isMissing) return "all";
  const items = wire.optional((value) => value.items()) ?? [];
  if (items.some((item) => item.only(isWildcard).length > 0)) return "all";
  return new Set(items.flatMap((item) => item.only(isName)));
}

const isText = (value: unknown): value is string => typeof value === "string";

const isWildcard = (value: unknown): value is "*" => value === "*";
