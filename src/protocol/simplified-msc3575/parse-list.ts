import type { ListFilters, ListRequest, Range } from "../../engine/request.ts";
import type { WireValue } from "../shared/wire-value.ts";
import type { RoomConfigParser } from "./parse-room-config.ts";

/** No client asks for more than a handful; each costs a part of the answer where list operations are on. */
const MAX_RANGES = 100;

export const parseList = (wire: WireValue, configs: RoomConfigParser): ListRequest => ({
  ranges: wire.at("ranges").optional(parseRanges) ?? "all",
  filters: wire.at("filters").optional(parseFilters) ?? NO_FILTERS,
  config: configs.parse(wire),
});

const NO_FILTERS: ListFilters = {
  isInvite: undefined,
  isEncrypted: undefined,
  roomTypes: undefined,
  notRoomTypes: undefined,
};

function parseRanges(wire: WireValue): readonly Range[] {
  const ranges = wire.items();
  if (ranges.length > MAX_RANGES) throw wire.invalid(`must not hold more than ${MAX_RANGES} ranges`);
  return ranges.map(parseRange);
}

function parseRange(wire: WireValue): Range {
  const [first, last, ...rest] = wire.items();
  if (first === undefined || last === undefined || rest.length > 0) throw wire.badJson("must be [first, last]");
  return { first: first.count(), last: last.count() };
}

/** Keys that are not evaluated yet are checked all the same, so that a client does not learn of its mistake later. */
function parseFilters(wire: WireValue): ListFilters {
  wire.at("is_dm").optional((value) => value.boolean());
  wire.at("room_name_like").optional((value) => value.text());
  for (const key of ["tags", "not_tags", "spaces"]) {
    wire.at(key).optional((value) => value.items().map((item) => item.text()));
  }
  return {
    isInvite: wire.at("is_invite").optional((value) => value.boolean()),
    isEncrypted: wire.at("is_encrypted").optional((value) => value.boolean()),
    roomTypes: wire.at("room_types").optional(parseRoomTypes),
    notRoomTypes: wire.at("not_room_types").optional(parseRoomTypes),
  };
}

const parseRoomTypes = (wire: WireValue): readonly (string | null)[] =>
  wire.items().map((item) => item.optional((value) => value.text()) ?? null);
