import { membershipOf, type StoredEvent, stateKeyOf } from "../event.ts";
import type { JsonObject } from "../json.ts";
import type { MemberRules } from "../profile.ts";
import type { Room } from "../room.ts";
import type { LazyMembers } from "./lazy-members.ts";
import type { RoomEntry, SyncRequest, Timeline } from "./model.ts";

const MAX_HEROES = 5;

export interface SummaryParts {
  readonly request: SyncRequest;
  readonly state: Map<string, StoredEvent>;
  readonly lazy: LazyMembers;
}

/**
 * The summary of a room, told only to lazy clients and only when members changed. Heroes whose member event the
 * client lacks are added to `state`.
 */
export function computeSummary(
  rules: MemberRules,
  entry: RoomEntry,
  timeline: Timeline,
  { request, state, lazy }: SummaryParts,
): JsonObject {
  const { room } = entry;
  const isDue =
    timeline.events.some(({ event }) => event.type === "m.room.member") ||
    (timeline.isLimited && [...state.values()].some((event) => event.type === "m.room.member")) ||
    entry.since === undefined;
  if (entry.isOutOfBand || !request.filter.state.lazyLoadMembers || !isDue) return {};
  const members = membersByAge(room);
  const summary: JsonObject = {
    "m.joined_member_count": members.join.length,
    "m.invited_member_count": members.invite.length,
  };
  const isSmall = members.join.length + members.invite.length <= rules.maxForHeroes;
  if (hasOwnName(room) || !isSmall) return summary;
  const heroes = heroesOf(members, request.device.user.userId);
  summary["m.heroes"] = heroes.map((event) => event.stateKey);
  const inTimeline = new Set(
    timeline.events.flatMap(({ event }) => (event.type === "m.room.member" ? [event.stateKey] : [])),
  );
  for (const event of heroes) {
    const userId = event.stateKey ?? "";
    const key = stateKeyOf("m.room.member", userId);
    if (state.has(key) || inTimeline.has(userId) || lazy.wasSent(userId, event.eventId)) continue;
    lazy.note(userId, event.eventId);
    state.set(key, event);
  }
  return summary;
}

function hasOwnName(room: Room): boolean {
  const name = room.state("m.room.name")?.content.name;
  const alias = room.state("m.room.canonical_alias")?.content.alias;
  return Boolean(name) || Boolean(alias);
}

type MembersByAge = Record<"join" | "invite" | "gone", StoredEvent[]>;

function membersByAge(room: Room): MembersByAge {
  const members: MembersByAge = { join: [], invite: [], gone: [] };
  for (const event of room.members.values()) {
    const membership = membershipOf(event);
    if (membership === "join" || membership === "invite") members[membership].push(event);
    else if (membership !== "knock") members.gone.push(event);
  }
  for (const group of Object.values(members)) group.sort((a, b) => a.stream - b.stream);
  return members;
}

function heroesOf(members: MembersByAge, self: string): StoredEvent[] {
  const others = (group: StoredEvent[]) => group.filter((event) => event.stateKey !== self);
  const present = [...others(members.join), ...others(members.invite)];
  return (present.length > 0 ? present : others(members.gone)).slice(0, MAX_HEROES);
}
