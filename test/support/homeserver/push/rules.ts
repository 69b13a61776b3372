import type { JsonObject } from "../json.ts";
import type { User } from "../user.ts";

export const RULE_KINDS = ["override", "content", "room", "sender", "postcontent", "underride"] as const;
export type RuleKind = (typeof RULE_KINDS)[number];

export interface PushRule extends JsonObject {
  readonly rule_id: string;
  readonly actions: readonly unknown[];
  readonly conditions?: readonly JsonObject[];
  readonly pattern?: string;
  readonly enabled: boolean;
  readonly default: boolean;
}

const NOTIFY = ["notify"];
const QUIET = { set_tweak: "highlight", value: false };
const HIGHLIGHT = { set_tweak: "highlight" };
const sound = (value: string) => ({ set_tweak: "sound", value });
const matches = (key: string, pattern: string) => ({ kind: "event_match", key, pattern });
const rule = (rule_id: string, conditions: JsonObject[], actions: unknown[], enabled = true): PushRule => ({
  conditions,
  actions,
  rule_id,
  default: true,
  enabled,
});

/** Synapse's default rules for a user, in its order. */
function defaultRules(user: User): Record<RuleKind, PushRule[]> {
  return {
    underride: [
      rule(".m.rule.call", [matches("type", "m.call.invite")], [...NOTIFY, sound("ring"), QUIET]),
      oneToOne(".m.rule.encrypted_room_one_to_one", "m.room.encrypted"),
      oneToOne(".m.rule.room_one_to_one", "m.room.message"),
      rule(".m.rule.message", [matches("type", "m.room.message")], [...NOTIFY, QUIET]),
      rule(".m.rule.encrypted", [matches("type", "m.room.encrypted")], [...NOTIFY, QUIET]),
      rule(".im.vector.jitsi", JITSI, [...NOTIFY, QUIET]),
    ],
    sender: [],
    room: [],
    postcontent: [],
    content: [
      {
        actions: [...NOTIFY, HIGHLIGHT, sound("default")],
        rule_id: ".m.rule.contains_user_name",
        default: true,
        pattern: user.localpart,
        enabled: true,
      },
    ],
    override: overrides(user),
  };
}

const JITSI = [
  matches("type", "im.vector.modular.widgets"),
  matches("content.type", "jitsi"),
  matches("state_key", "*"),
];

function oneToOne(ruleId: string, type: string): PushRule {
  const conditions = [matches("type", type), { kind: "room_member_count", is: "2" }];
  return rule(ruleId, conditions, [...NOTIFY, sound("default"), QUIET]);
}

function overrides(user: User): PushRule[] {
  const roomPower = { kind: "sender_notification_permission", key: "room" };
  const ofEmptyKey = matches("state_key", "");
  const mentionsMe = {
    kind: "event_property_contains",
    key: "content.m\\.mentions.user_ids",
    value: user.userId,
  };
  const mentionsRoom = { kind: "event_property_is", key: "content.m\\.mentions.room", value: true };
  const isInvite = [matches("type", "m.room.member"), matches("content.membership", "invite")];
  const isEdit = { kind: "event_property_is", key: "content.m\\.relates_to.rel_type", value: "m.replace" };
  const loud = [...NOTIFY, HIGHLIGHT, sound("default")];
  return [
    rule(".m.rule.master", [], [], false),
    rule(".m.rule.suppress_notices", [matches("content.msgtype", "m.notice")], []),
    rule(
      ".m.rule.invite_for_me",
      [...isInvite, matches("state_key", user.userId)],
      [...NOTIFY, QUIET, sound("default")],
    ),
    rule(".m.rule.member_event", [matches("type", "m.room.member")], []),
    rule(".m.rule.is_user_mention", [mentionsMe], loud),
    rule(".m.rule.contains_display_name", [{ kind: "contains_display_name" }], loud),
    rule(".m.rule.is_room_mention", [mentionsRoom, roomPower], [...NOTIFY, HIGHLIGHT]),
    rule(".m.rule.roomnotif", [roomPower, matches("content.body", "@room")], [...NOTIFY, HIGHLIGHT]),
    rule(".m.rule.tombstone", [matches("type", "m.room.tombstone"), ofEmptyKey], [...NOTIFY, HIGHLIGHT]),
    rule(".m.rule.reaction", [matches("type", "m.reaction")], []),
    rule(".m.rule.room.server_acl", [matches("type", "m.room.server_acl"), ofEmptyKey], []),
    rule(".m.rule.suppress_edits", [isEdit], []),
  ];
}

/** Where {@link User.pushRuleChanges} has the changes to a rule. */
export function ruleKey(kind: string, ruleId: string): string {
  return `${kind}/${ruleId}`;
}

/** All rules of a user by kind: the user's own come before the defaults, but for the master switch. */
export function rulesOf(user: User): Record<RuleKind, PushRule[]> {
  const defaults = defaultRules(user);
  const all = Object.entries(defaults).map(([kind, rules]) => {
    const own = (user.pushRules.get(kind) ?? []) as PushRule[];
    const isMaster = (found: PushRule) => found.rule_id === ".m.rule.master";
    const ordered = [...rules.filter(isMaster), ...own, ...rules.filter((found) => !isMaster(found))];
    return [kind, ordered.map((found) => ({ ...found, ...user.pushRuleChanges.get(ruleKey(kind, found.rule_id)) }))];
  });
  return Object.fromEntries(all) as Record<RuleKind, PushRule[]>;
}
