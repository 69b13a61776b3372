import type { StoredEvent } from "../event.ts";
import { isObject, type JsonObject, objectOr } from "../json.ts";
import { powerLevels } from "../power.ts";
import type { Room } from "../room.ts";
import type { User } from "../user.ts";
import { type PushRule, RULE_KINDS, rulesOf } from "./rules.ts";

export interface Verdict {
  readonly notifies: boolean;
  readonly highlights: boolean;
}

const SILENT: Verdict = { notifies: false, highlights: false };

/** Rules that read the body are off once an event says whom it mentions (MSC3952). */
const LEGACY_MENTIONS = new Set([".m.rule.contains_display_name", ".m.rule.contains_user_name", ".m.rule.roomnotif"]);

export type Evaluate = (room: Room, event: StoredEvent) => Verdict;

/** Judges events by a user's push rules. Make it anew when the rules change. */
export function evaluatorFor(user: User): Evaluate {
  const byKind = rulesOf(user);
  const rules = RULE_KINDS.flatMap((kind) =>
    byKind[kind].map((rule) => ({ rule, matches: matcherOf(kind, rule, user) })),
  );
  return (room, event) => {
    if (event.sender === user.userId || user.ignored.has(event.sender)) return SILENT;
    const hasMentions = isObject(event.content["m.mentions"]);
    for (const { rule, matches } of rules) {
      if (!rule.enabled || (hasMentions && LEGACY_MENTIONS.has(rule.rule_id))) continue;
      if (matches(room, event)) return verdictOf(rule);
    }
    return SILENT;
  };
}

function verdictOf(rule: PushRule): Verdict {
  const notifies = rule.actions.includes("notify");
  const tweak = rule.actions.find((action) => isObject(action) && action.set_tweak === "highlight");
  return { notifies, highlights: notifies && isObject(tweak) && tweak.value !== false };
}

type Matcher = (room: Room, event: StoredEvent) => boolean;

function matcherOf(kind: string, rule: PushRule, user: User): Matcher {
  switch (kind) {
    case "content":
      return (_room, event) => containsWord(event.content.body, rule.pattern ?? "");
    case "room":
      return (_room, event) => event.roomId === rule.rule_id;
    case "sender":
      return (_room, event) => event.sender === rule.rule_id;
    default: {
      const conditions = (rule.conditions ?? []).map((condition) => conditionOf(condition, user));
      return (room, event) => conditions.every((holds) => holds(room, event));
    }
  }
}

function conditionOf(condition: JsonObject, user: User): Matcher {
  const key = String(condition.key ?? "");
  switch (condition.kind) {
    case "event_match":
      return key === "content.body"
        ? (_room, event) => containsWord(event.content.body, String(condition.pattern))
        : (_room, event) => matchesGlob(propertyOf(event, key), String(condition.pattern));
    case "event_property_is":
      return (_room, event) => propertyOf(event, key) === condition.value;
    case "event_property_contains":
      return (_room, event) => {
        const value = propertyOf(event, key);
        return Array.isArray(value) && value.includes(condition.value);
      };
    case "contains_display_name":
      return (room, event) =>
        containsWord(event.content.body, String(room.members.get(user.userId)?.content.displayname ?? ""));
    case "room_member_count":
      return (room) => isCount(room.joinedMembers().length, String(condition.is));
    case "sender_notification_permission":
      return (room, event) => powerLevels(room).of(event.sender) >= 50;
    default:
      return () => false;
  }
}

function propertyOf(event: StoredEvent, key: string): unknown {
  const names = key.split(/(?<!\\)\./).map((name) => name.replaceAll("\\.", "."));
  switch (names[0]) {
    case "type":
      return event.type;
    case "sender":
      return event.sender;
    case "state_key":
      return event.stateKey;
    case "room_id":
      return event.roomId;
    case "content":
      return names.slice(1).reduce<unknown>((value, name) => objectOr(value)[name], event.content);
    default:
      return undefined;
  }
}

function isCount(count: number, is: string): boolean {
  const [, operator, number] = /^(==|<=|>=|<|>|)(\d+)$/.exec(is) ?? [];
  const wanted = Number(number);
  if (operator === "<") return count < wanted;
  if (operator === ">") return count > wanted;
  if (operator === "<=") return count <= wanted;
  if (operator === ">=") return count >= wanted;
  return count === wanted;
}

function matchesGlob(value: unknown, pattern: string): boolean {
  if (typeof value !== "string") return false;
  if (!/[*?]/.test(pattern)) return value.toLowerCase() === pattern.toLowerCase();
  return new RegExp(`^${globSource(pattern)}$`, "is").test(value);
}

const words = new Map<string, RegExp>();

function containsWord(body: unknown, pattern: string): boolean {
  if (typeof body !== "string" || pattern === "") return false;
  let word = words.get(pattern);
  if (word === undefined) {
    word = new RegExp(`(^|\\W)${globSource(pattern)}($|\\W)`, "i");
    words.set(pattern, word);
  }
  return word.test(body);
}

function globSource(pattern: string): string {
  const escaped = pattern.replace(/[.+^${}()|[\]\\]/g, "\\$&");
  return escaped.replaceAll("*", ".*").replaceAll("?", ".");
}
