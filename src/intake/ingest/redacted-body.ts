import { membersOf } from "../../lib/json-members.ts";

/** A member of `content` that stays in room versions `from` to `to`. */
interface KeptKey {
  readonly key: string;
  readonly from?: number;
  readonly to?: number;
  /** Only this member of it stays. */
  readonly only?: string;
}

/** The newest room version whose rules are known; versions that are not known follow them. */
const NEWEST_VERSION = 12;
const FIRST_WITH_WHOLE_CREATION = 11;
const KNOWN_VERSION = /^(?:[1-9]|1[0-2])$/;

const TOP: readonly KeptKey[] = [
  ...keys("event_id", "type", "room_id", "sender", "state_key", "hashes", "signatures", "depth", "prev_events"),
  ...keys("auth_events", "origin_server_ts"),
  { key: "origin", to: 10 },
  { key: "prev_state", to: 10 },
  { key: "membership", to: 10 },
];

const CONTENT: ReadonlyMap<string, readonly KeptKey[]> = new Map([
  ["m.room.create", [{ key: "creator", to: 10 }]],
  [
    "m.room.member",
    [
      { key: "membership" },
      { key: "join_authorised_via_users_server", from: 9 },
      { key: "third_party_invite", from: 11, only: "signed" },
    ],
  ],
  ["m.room.join_rules", [{ key: "join_rule" }, { key: "allow", from: 8 }]],
  [
    "m.room.power_levels",
    [
      ...keys("ban", "events", "events_default", "kick", "redact", "state_default", "users", "users_default"),
      { key: "invite", from: 11 },
    ],
  ],
  ["m.room.history_visibility", [{ key: "history_visibility" }]],
  ["m.room.aliases", [{ key: "aliases", to: 5 }]],
  ["m.room.redaction", [{ key: "redacts", from: 11 }]],
]);

const OPEN = Buffer.from("{");
const COMMA = Buffer.from(",");
const CLOSE = Buffer.from("}");
const NO_MEMBERS = Buffer.concat([OPEN, CLOSE]);

function keys(...names: readonly string[]): readonly KeptKey[] {
  return names.map((key) => ({ key }));
}

/** The number of a room version; one that is not known, or undefined, counts as the newest. */
export const redactionRulesOf = (version: string | undefined): number =>
  version !== undefined && KNOWN_VERSION.test(version) ? Number(version) : NEWEST_VERSION;

/**
 * An event in redacted form (specification, "Redactions" of each room version). Members that stay are copied byte for byte;
 * of members with the same key the last one counts. Applied again it changes nothing.
 */
export function redactedBody(body: Buffer, type: string, version: string | undefined): Buffer {
  const rules = redactionRulesOf(version);
  return pruned(body, (key, raw) =>
    key === "content" ? redactedContent(raw, type, version) : kept(TOP, rules, key, raw),
  );
}

/** `content` of an event of that type in redacted form. */
export function redactedContent(content: Buffer, type: string, version: string | undefined): Buffer {
  const rules = redactionRulesOf(version);
  if (!isObject(content)) return NO_MEMBERS;
  if (type === "m.room.create" && rules >= FIRST_WITH_WHOLE_CREATION) return content;
  const keys = CONTENT.get(type) ?? [];
  return pruned(content, (key, raw) => kept(keys, rules, key, raw));
}

/** What stays of a member; undefined: nothing. */
function kept(list: readonly KeptKey[], rules: number, key: string, raw: Buffer): Buffer | undefined {
  const rule = list.find((each) => each.key === key);
  if (rule === undefined || rules < (rule.from ?? 0) || rules > (rule.to ?? NEWEST_VERSION)) return undefined;
  if (rule.only === undefined) return raw;
  return isObject(raw) ? pruned(raw, (inner, value) => (inner === rule.only ? value : undefined)) : undefined;
}

function pruned(object: Buffer, toValue: (key: string, raw: Buffer) => Buffer | undefined): Buffer {
  const lastOfEachKey = new Map(membersOf(object).map((member) => [member.key, member]));
  const members = [...lastOfEachKey.values()].flatMap(({ key, start, valueStart, valueEnd }) => {
    const value = toValue(key, object.subarray(valueStart, valueEnd));
    return value === undefined ? [] : [[COMMA, object.subarray(start, valueStart), value]];
  });
  return Buffer.concat([OPEN, ...members.flat().slice(1), CLOSE]);
}

const isObject = (raw: Buffer): boolean => raw[0] === OPEN[0];
