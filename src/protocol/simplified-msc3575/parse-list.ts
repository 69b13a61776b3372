import type { ListFilters, ListRequest, Range } from "../../engine/request.ts";
import { isRoomId } from "../../model/ids.ts";
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
  isDm: undefined,
  isInvite: undefined,
  isEncrypted: undefined,
  roomTypes: undefined,
  notRoomTypes: undefined,
  tags: undefined,
  notTags: undefined,
  spaces: undefined,
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

/** Names are not filtered by, as homeservers do not either. */
function parseFilters(wire: WireValue): ListFilters {
  wire.at("room_name_like").optional((value) => value.text());
  return {
    isDm: wire.at("is_dm").optional((value) => value.boolean()),
    isInvite: wire.at("is_invite").optional((value) => value.boolean()),
    isEncrypted: wire.at("is_encrypted").optional((value) => value.boolean()),
    roomTypes: wire.at("room_types").optional(parseRoomTypes),
    notRoomTypes: wire.at("not_room_types").optional(parseRoomTypes),
    tags: wire.at("tags").optional(parseTexts),
    notTags: wire.at("not_tags").optional(parseTexts),
    // What can be no room is one that the reader is not in.
    spaces: wire.at("spaces").optional((value) => parseTexts(value).filter(isRoomId)),
  };
}

const parseTexts = (wire: WireValue): readonly string[] => wire.items().map((item) => item.text());

const parseRoomTypes = (wire: WireValue): readonly (string | null)[] =>
  wire.items().map((item) => item.optional((value) => value.text()) ?? null);
