import { lacksRoomId, type StoredEvent } from "../event.ts";
import { isObject, type JsonObject, numberOr, objectOr, strings } from "../json.ts";
import { MatrixError } from "../matrix-error.ts";

/** What an event, an account-data entry or an ephemeral event shows to a filter. */
export interface Filterable {
  readonly type?: string | undefined;
  readonly sender?: string | undefined;
  /** Synapse's room account data does not say its room, so that a filter on rooms drops all of it. */
  readonly roomId?: string | undefined;
  readonly content?: unknown;
}

export class EventFilter {
  readonly limit: number;
  readonly lazyLoadMembers: boolean;
  readonly includeRedundantMembers: boolean;
  readonly unreadThreadNotifications: boolean;
  readonly #json: JsonObject;
  readonly #isEmpty: boolean;

  constructor(json: JsonObject, defaultLimit: number) {
    this.#json = json;
    this.limit = numberOr(json.limit, defaultLimit);
    this.lazyLoadMembers = json.lazy_load_members === true;
    this.includeRedundantMembers = json.include_redundant_members === true;
    this.unreadThreadNotifications = json.unread_thread_notifications === true;
    this.#isEmpty = !MATCHED.some((name) => json[name] !== undefined || json[`not_${name}`] !== undefined);
  }

  /** The filter lets nothing pass, so that there is no need to look. */
  blocks(name: "types" | "senders" | "rooms"): boolean {
    const allowed = this.#json[name];
    return (Array.isArray(allowed) && allowed.length === 0) || strings(this.#json[`not_${name}`]).includes("*");
  }

  passes(item: Filterable): boolean {
    if (this.#isEmpty) return true;
    const wantsUrl = this.#json.contains_url;
    return (
      this.#allows("rooms", (value) => value === item.roomId) &&
      this.#allows("senders", (value) => value === item.sender) &&
      this.#allows("types", (value) => matchesType(item.type, value)) &&
      (wantsUrl === undefined || wantsUrl === (typeof objectOr(item.content).url === "string"))
    );
  }

  #allows(name: string, matches: (value: string) => boolean): boolean {
    if (strings(this.#json[`not_${name}`]).some(matches)) return false;
    return this.#json[name] === undefined || strings(this.#json[name]).some(matches);
  }
}

const MATCHED = ["rooms", "senders", "types", "contains_url"];

function matchesType(type: string | undefined, pattern: string): boolean {
  if (!pattern.endsWith("*")) return type === pattern;
  return type?.startsWith(pattern.slice(0, -1)) === true;
}

export class SyncFilter {
  readonly rooms: EventFilter;
  readonly timeline: EventFilter;
  readonly state: EventFilter;
  readonly ephemeral: EventFilter;
  readonly roomAccountData: EventFilter;
  readonly presence: EventFilter;
  readonly accountData: EventFilter;
  readonly includeLeave: boolean;
  readonly timelineLimit: number;

  constructor(json: JsonObject, limits: { readonly default: number; readonly max: number }) {
    const room = objectOr(json.room);
    const part = (value: unknown) => new EventFilter(objectOr(value), limits.default);
    this.rooms = part(Object.fromEntries(Object.entries(room).filter(([name]) => name.endsWith("rooms"))));
    this.timeline = part(room.timeline);
    this.state = part(room.state);
    this.ephemeral = part(room.ephemeral);
    this.roomAccountData = part(room.account_data);
    this.presence = part(json.presence);
    this.accountData = part(json.account_data);
    this.includeLeave = room.include_leave === true;
    this.timelineLimit = Math.min(this.timeline.limit, limits.max);
  }

  passesTimeline(event: StoredEvent): boolean {
    return this.rooms.passes(withRoom(event)) && this.timeline.passes(withRoom(event));
  }

  passesState(event: StoredEvent): boolean {
    return this.rooms.passes(withRoom(event)) && this.state.passes(withRoom(event));
  }

  blocks(part: "timeline" | "ephemeral" | "roomAccountData"): boolean {
    return (["types", "senders", "rooms"] as const).some((name) => this[part].blocks(name));
  }
}

/** Synapse filters rooms by the event's own `room_id`, and so drops create events that have none. */
function withRoom(event: StoredEvent): Filterable {
  return lacksRoomId(event) ? { type: event.type, sender: event.sender, content: event.content } : event;
}

const PARTS = ["timeline", "state", "ephemeral", "account_data"];

/** Refuses what Synapse's schema refuses, as far as somebody could send it by mistake. */
export function checkFilter(json: unknown): asserts json is JsonObject {
  if (!isObject(json)) throw new MatrixError(400, "M_INVALID_PARAM", "Invalid filter ID");
  for (const part of [json.room, json.presence, json.account_data]) requireType(part, "object", isObject);
  for (const name of PARTS) {
    const part = objectOr(json.room)[name];
    requireType(part, "object", isObject);
    requireType(objectOr(part).limit, "number", (limit) => typeof limit === "number");
    for (const list of LISTS) requireType(objectOr(part)[list], "array", Array.isArray);
  }
  for (const list of ["rooms", "not_rooms"]) requireType(objectOr(json.room)[list], "array", Array.isArray);
}

const LISTS = ["types", "not_types", "senders", "not_senders", "rooms", "not_rooms"];

function requireType(value: unknown, type: string, isType: (value: unknown) => boolean): void {
  if (value === undefined || isType(value)) return;
  throw new MatrixError(400, "M_UNKNOWN", `${JSON.stringify(value)} is not of type '${type}'`);
}
