import type { StoredEvent } from "./event.ts";
import { isObject, type JsonObject } from "./json.ts";

const POWER_LEVEL_KEYS = [
  "users",
  "users_default",
  "events",
  "events_default",
  "state_default",
  "ban",
  "kick",
  "redact",
];

/** What a redaction leaves of an event's content (spec v1.12, "Redactions", by room version). */
export function prunedContent(event: StoredEvent, roomVersion: number): JsonObject {
  const keep = (...names: string[]) =>
    Object.fromEntries(Object.entries(event.content).filter(([name]) => names.includes(name)));
  switch (event.type) {
    case "m.room.create":
      return roomVersion >= 11 ? { ...event.content } : keep("creator");
    case "m.room.member":
      return prunedMember(event.content, roomVersion);
    case "m.room.join_rules":
      return roomVersion >= 8 ? keep("join_rule", "allow") : keep("join_rule");
    case "m.room.power_levels":
      return keep(...POWER_LEVEL_KEYS, ...(roomVersion >= 11 ? ["invite"] : []));
    case "m.room.history_visibility":
      return keep("history_visibility");
    case "m.room.aliases":
      return roomVersion < 6 ? keep("aliases") : {};
    case "m.room.redaction":
      return roomVersion >= 11 ? keep("redacts") : {};
    default:
      return {};
  }
}

function prunedMember(content: JsonObject, roomVersion: number): JsonObject {
  const kept: JsonObject = { membership: content.membership };
  if (roomVersion >= 9 && content.join_authorised_via_users_server !== undefined) {
    kept.join_authorised_via_users_server = content.join_authorised_via_users_server;
  }
  if (roomVersion >= 11 && isObject(content.third_party_invite)) {
    kept.third_party_invite = { signed: content.third_party_invite.signed };
  }
  return kept;
}
