import { describe, expect, test } from "@jest/globals";
import { decodeAnswer, RefusedAnswerError } from "./ruma-answer.ts";

const ROOM = "!room:hs1";
const VERSION_12_ROOM = "!31hneApxJ_1o-63DmFrpeqnkFfWppnzWso1JvH3ogLM";
const INVITE = "!invite:hs1";

/** Every field that the SDK reads, filled. */
const VALID = {
  pos: "a",
  txn_id: "t",
  lists: { all_rooms: { count: 2 } },
  rooms: {
    [ROOM]: {
      name: "A room",
      avatar: "mxc://hs1/a",
      initial: true,
      is_dm: false,
      notification_count: 0,
      highlight_count: 0,
      timeline: [{ type: "m.room.message" }],
      required_state: [{ type: "m.room.create" }],
      prev_batch: "b",
      limited: true,
      joined_count: 2,
      invited_count: 0,
      num_live: 1,
      bump_stamp: 2 ** 53 - 1,
      heroes: [{ user_id: "@bob:hs1", displayname: "Bob", avatar_url: "mxc://hs1/b" }],
    },
    [VERSION_12_ROOM]: {},
    [INVITE]: { invite_state: [] },
  },
  extensions: {
    to_device: { next_batch: "-1", events: [{}] },
    e2ee: {
      device_lists: { changed: ["@bob:hs1"], left: ["@carol:[::1]:8448"] },
      device_one_time_keys_count: { signed_curve25519: 50 },
      device_unused_fallback_key_types: ["signed_curve25519"],
    },
    account_data: { global: [{}], rooms: { [ROOM]: [{}] } },
    receipts: { rooms: { [ROOM]: {} } },
    typing: { rooms: { [ROOM]: {} } },
  },
};

type Path = readonly (string | number)[];

/** In place of a value: the key is not there. */
const ABSENT = Symbol("absent");

function changed(json: unknown, [key, ...rest]: Path, value: unknown): unknown {
  if (key === undefined) return value;
  const copy = (Array.isArray(json) ? [...json] : { ...(json as object) }) as Record<string | number, unknown>;
  if (rest.length === 0 && value === ABSENT) delete copy[key];
  else copy[key] = changed(copy[key], rest, value);
  return copy;
}

const inRoom = (...rest: Path): Path => ["rooms", ROOM, ...rest];
const inE2ee = (...rest: Path): Path => ["extensions", "e2ee", ...rest];

const each = (path: Path, ...values: readonly unknown[]): [Path, unknown][] => values.map((value) => [path, value]);

const nameOf = ([path, value]: readonly [Path, unknown]): [string, Path, unknown] => [
  `${path.join(" ")} ${value === ABSENT ? "absent" : JSON.stringify(value)}`,
  path,
  value,
];

const NO_COUNTS = [-1, 1.5, "1", true, 2 ** 53, [], {}];

const REFUSED: readonly [string, Path, unknown][] = [
  ...each([], null, [], "text"),
  ...each(["pos"], ABSENT, null, 1),
  ...each(["txn_id"], 1),
  ...["lists", "rooms", "extensions"].flatMap((key) => each([key], null, [], "text")),
  ...each(["lists", "all_rooms"], null, {}),
  ...each(["lists", "all_rooms", "count"], ABSENT, null, ...NO_COUNTS, 2 ** 32),
  ...["room:hs1", "#room:hs1", "", `!${"r".repeat(255)}`, "!nul\0"].flatMap((id) => each(["rooms", id], {})),
  ...each(inRoom(), null, []),
  ...each(inRoom("timeline"), null, {}),
  ...each(inRoom("required_state"), null, {}),
  ...each(["rooms", INVITE, "invite_state"], {}, "text"),
  ...each(inRoom("limited"), null, 0, 1, "true"),
  ...each(inRoom("initial"), 1, "true"),
  ...each(inRoom("is_dm"), 0, "false"),
  ...each(inRoom("name"), 1, {}),
  ...each(inRoom("prev_batch"), 1, {}),
  ...each(inRoom("avatar"), 1, {}),
  ...["bump_stamp", "joined_count", "invited_count", "num_live", "notification_count", "highlight_count"].flatMap(
    (key) => each(inRoom(key), ...NO_COUNTS),
  ),
  ...each(inRoom("heroes"), {}, [null], [{}]),
  ...each(inRoom("heroes", 0, "user_id"), ABSENT, null, "bob", "@bob", "@bob:", "@bob:h s", "@b:ob:x:y", 1),
  ...each(inRoom("heroes", 0, "displayname"), 1, {}),
  ...each(inRoom("heroes", 0, "avatar_url"), 1, []),
  ...["e2ee", "account_data", "receipts", "typing"].flatMap((key) => each(["extensions", key], null, [])),
  ...each(["extensions", "to_device"], [], {}),
  ...each(["extensions", "to_device", "next_batch"], ABSENT, null, 1),
  ...each(["extensions", "to_device", "events"], null, {}),
  ...each(inE2ee("device_one_time_keys_count"), null, []),
  ...each(inE2ee("device_one_time_keys_count", "signed_curve25519"), null, ...NO_COUNTS),
  ...each(inE2ee("device_unused_fallback_key_types"), "signed_curve25519", [1]),
  ...each(inE2ee("device_lists"), null, []),
  ...each(inE2ee("device_lists", "changed"), null, ["bob"]),
  ...each(inE2ee("device_lists", "left"), null, [null]),
  ...each(["extensions", "account_data", "global"], null, {}),
  ...each(["extensions", "account_data", "rooms"], null, []),
  ...each(["extensions", "account_data", "rooms", ROOM], null, {}),
  ...each(["extensions", "account_data", "rooms", "room"], []),
  ...["receipts", "typing"].flatMap((key) => [
    ...each(["extensions", key, "rooms"], null, []),
    ...each(["extensions", key, "rooms", ROOM], null, [{}]),
    ...each(["extensions", key, "rooms", "room"], {}),
  ]),
].map(nameOf);

const ACCEPTED: readonly [string, Path, unknown][] = [
  ...["lists", "rooms", "extensions", "unheard_of"].flatMap((key) => each([key], ABSENT)),
  ...each(["unheard_of"], null, [1]),
  ...each(["lists", "all_rooms", "ops"], null),
  ...each(["lists", "all_rooms", "count"], 0, 2 ** 32 - 1),
  ...each(inRoom("unheard_of"), null, -1),
  ...["timeline", "required_state", "limited"].flatMap((key) => each(inRoom(key), ABSENT)),
  ...["name", "avatar", "initial", "is_dm", "prev_batch", "bump_stamp", "joined_count", "heroes"].flatMap((key) =>
    each(inRoom(key), ABSENT, null),
  ),
  ...each(["rooms", INVITE, "invite_state"], null, ABSENT),
  ...each(inRoom("timeline"), [null, -1, "no event"]),
  ...each(inRoom("heroes", 0, "displayname"), null, ABSENT),
  ...each(inRoom("heroes", 0, "avatar_url"), null, ABSENT),
  ...each(["extensions", "to_device"], null, ABSENT),
  ...each(["extensions", "to_device", "events"], ABSENT),
  ...each(inE2ee(), ABSENT, {}),
  ...each(inE2ee("device_unused_fallback_key_types"), null, []),
  ...each(["extensions", "unheard_of"], null),
].map(nameOf);

describe("an answer as the SDK decodes it", () => {
  test("is what came when it is as it must be", () => {
    expect(decodeAnswer(VALID)).toBe(VALID);
    expect(() => decodeAnswer({ pos: "a" })).not.toThrow();
  });

  test.each(REFUSED)("is refused: %s", (_name, path, value) => {
    const decode = () => decodeAnswer(changed(VALID, path, value));
    expect(decode).toThrow(RefusedAnswerError);
    const parts = path.map((part) => (typeof part === "number" ? `[${part}]` : `.${part}`)).join("");
    expect(decode).toThrow(`$${parts}`);
  });

  test.each(ACCEPTED)("is accepted: %s", (_name, path, value) => {
    expect(() => decodeAnswer(changed(VALID, path, value))).not.toThrow();
  });
});
