import { isObject, type JsonObject, numberOr, objectOr } from "./json.ts";
import type { Room } from "./room.ts";

export interface PowerLevels {
  of(userId: string): number;
  toSend(type: string, isState: boolean): number;
  readonly ban: number;
  readonly kick: number;
  readonly invite: number;
  readonly redact: number;
}

/** Room version from which creators stand above all power levels. */
const CREATOR_POWER_VERSION = 12;

export function powerLevels(room: Room): PowerLevels {
  const create = room.state("m.room.create");
  const event = room.state("m.room.power_levels");
  const content: JsonObject = event?.content ?? {};
  const users = objectOr(content.users);
  const events = objectOr(content.events);
  const level = (name: string, fallback: number) => numberOr(content[name], fallback);
  const creators = new Set([create?.sender, ...extraCreators(create?.content)]);
  const isAboveAll = (userId: string) => room.versionNumber >= CREATOR_POWER_VERSION && creators.has(userId);
  return {
    of: (userId) => {
      if (isAboveAll(userId)) return Number.POSITIVE_INFINITY;
      if (event === undefined) return create?.sender === userId ? 100 : 0;
      return numberOr(users[userId], level("users_default", 0));
    },
    toSend: (type, isState) =>
      numberOr(
        events[type],
        isState ? level("state_default", event === undefined ? 0 : 50) : level("events_default", 0),
      ),
    ban: level("ban", 50),
    kick: level("kick", 50),
    invite: level("invite", 0),
    redact: level("redact", 50),
  };
}

function extraCreators(content: JsonObject | undefined): unknown[] {
  return isObject(content) && Array.isArray(content.additional_creators) ? content.additional_creators : [];
}
