import { JsonSplitter } from "../../lib/json-splitter.ts";
import { isRoomId, type RoomId } from "../../model/ids.ts";
import { countAt, isObject, isStorableText, parseJson, stringAt } from "./json-value.ts";
import { emptySection, type RoomSection, type SectionKind } from "./room-section.ts";

/** What a v2 response says beside its rooms: raw JSON values, each once. */
export interface ResponseRest {
  nextBatch: string | undefined;
  readonly accountData: Buffer[];
  readonly toDevice: Buffer[];
  readonly deviceLists: { readonly changed: string[]; readonly left: string[] };
  /** A JSON object; undefined: the key is absent, nothing changed. */
  oneTimeKeys: Buffer | undefined;
  /** A JSON array. */
  fallbackKeys: Buffer | undefined;
}

export interface ResponseReceiver {
  /** A room is complete: its object in the body has closed. */
  onRoom(section: RoomSection): void;
  /** A part that cannot be read; it is left out. */
  onSetAside(what: "room" | "section", where: string, reason: string): void;
}

const ROOM = ["rooms", "*", "*"] as const;
const FALLBACK_KEYS = "device_unused_fallback_key_types";

const TOP_PATTERNS = [
  ["next_batch"],
  ["account_data", "events", "*"],
  ["to_device", "events", "*"],
  ["device_lists"],
  ["device_one_time_keys_count"],
  [FALLBACK_KEYS],
  [`org.matrix.msc2732.${FALLBACK_KEYS}`],
] as const;

const STATE_AFTER_KEYS: ReadonlySet<string | number | undefined> = new Set([
  "state_after",
  "org.matrix.msc4222.state_after",
]);

const ROOM_PATTERNS = [
  [...ROOM, "timeline", "events", "*"],
  [...ROOM, "timeline", "limited"],
  [...ROOM, "timeline", "prev_batch"],
  [...ROOM, "state", "events", "*"],
  [...ROOM, "state_after", "events", "*"],
  [...ROOM, "org.matrix.msc4222.state_after", "events", "*"],
  [...ROOM, "ephemeral", "events", "*"],
  [...ROOM, "account_data", "events", "*"],
  [...ROOM, "invite_state", "events", "*"],
  [...ROOM, "knock_state", "events", "*"],
  [...ROOM, "summary"],
  [...ROOM, "unread_notifications"],
  [...ROOM, "unread_thread_notifications"],
] as const;

const CONTAINERS = [ROOM, [...ROOM, "state_after"], [...ROOM, "org.matrix.msc4222.state_after"]] as const;

const isSectionKind = (kind: unknown): kind is SectionKind =>
  kind === "join" || kind === "invite" || kind === "knock" || kind === "leave";

/**
 * Takes a v2 `/sync` body as it arrives and hands out whole rooms. Memory is bounded by the largest room, never by the body.
 * A broken body throws out of {@link write} or {@link end}; rooms handed out before that are safe to store: a repeated
 * poll brings them again.
 */
export class ResponseReader {
  readonly rest: ResponseRest = {
    nextBatch: undefined,
    accountData: [],
    toDevice: [],
    deviceLists: { changed: [], left: [] },
    oneTimeKeys: undefined,
    fallbackKeys: undefined,
  };
  readonly #receiver: ResponseReceiver;
  readonly #splitter: JsonSplitter;
  #section: RoomSection | undefined;
  #threadCounts = { notifications: 0, highlights: 0 };

  constructor(receiver: ResponseReceiver) {
    this.#receiver = receiver;
    this.#splitter = new JsonSplitter({
      patterns: [...TOP_PATTERNS, ...ROOM_PATTERNS],
      containers: CONTAINERS,
      onValue: (_pattern, path, raw) => (path[0] === "rooms" ? this.#roomValue(path, raw) : this.#topValue(path, raw)),
      onOpen: (_pattern, path, kind) =>
        path.length === ROOM.length ? this.#openRoom(path, kind) : this.#openStateAfter(),
      onClose: (_pattern, path) => path.length === ROOM.length && this.#closeRoom(),
    });
  }

  write(chunk: Uint8Array): void {
    this.#splitter.write(chunk);
  }

  /** Throws unless the body was one whole JSON value. */
  end(): void {
    this.#splitter.end();
  }

  #openRoom(path: readonly (string | number)[], container: "object" | "array"): void {
    const [, kind, roomId] = path;
    this.#section = undefined;
    if (!isSectionKind(kind)) return;
    if (container !== "object" || !isRoomId(roomId) || !isStorableText(roomId)) {
      this.#receiver.onSetAside("room", String(roomId).slice(0, 255), "not a room id with an object");
      return;
    }
    this.#section = emptySection(kind, roomId as RoomId);
    this.#threadCounts = { notifications: 0, highlights: 0 };
  }

  #openStateAfter(): void {
    if (this.#section !== undefined) this.#section.stateAfter ??= [];
  }

  #closeRoom(): void {
    const section = this.#section;
    this.#section = undefined;
    if (section === undefined) return;
    if (section.counts !== undefined) {
      section.counts = {
        notifications: section.counts.notifications + this.#threadCounts.notifications,
        highlights: section.counts.highlights + this.#threadCounts.highlights,
      };
    }
    this.#receiver.onRoom(section);
  }

  #topValue(path: readonly (string | number)[], raw: Buffer): void {
    switch (path[0]) {
      case "next_batch": {
        const token = parseJson(raw);
        this.rest.nextBatch = typeof token === "string" && isStorableText(token) ? token : undefined;
        break;
      }
      case "account_data":
        this.rest.accountData.push(raw);
        break;
      case "to_device":
        this.rest.toDevice.push(raw);
        break;
      case "device_lists":
        this.#deviceLists(parseJson(raw));
        break;
      case "device_one_time_keys_count":
        if (isObject(parseJson(raw))) this.rest.oneTimeKeys = raw;
        break;
      default:
        if (Array.isArray(parseJson(raw))) this.rest.fallbackKeys = raw;
    }
  }

  #deviceLists(lists: unknown): void {
    if (!isObject(lists)) return;
    for (const kind of ["changed", "left"] as const) {
      const users = lists[kind];
      if (!Array.isArray(users)) continue;
      const known = users.filter((user): user is string => typeof user === "string" && isStorableText(user));
      this.rest.deviceLists[kind].push(...known);
      if (known.length < users.length) this.#receiver.onSetAside("section", `device_lists.${kind}`, "not a user id");
    }
  }

  #roomValue(path: readonly (string | number)[], raw: Buffer): void {
    const section = this.#section;
    if (section === undefined) return;
    const part = path[3];
    if (part === "timeline") this.#timelineValue(section, path[4], raw);
    else if (part === "state") section.state.push(raw);
    else if (STATE_AFTER_KEYS.has(part)) section.stateAfter?.push(raw);
    else if (part === "ephemeral") section.ephemeral.push(raw);
    else if (part === "account_data") section.accountData.push(raw);
    else if (part === "summary") this.#summary(section, parseJson(raw));
    else if (part === "unread_notifications") this.#counts(section, parseJson(raw));
    else if (part === "unread_thread_notifications") this.#threads(parseJson(raw));
    else section.stripped.push(raw);
  }

  #timelineValue(section: RoomSection, key: string | number | undefined, raw: Buffer): void {
    if (key === "events") {
      section.timeline.push(raw);
    } else if (key === "limited") {
      section.limited = parseJson(raw) === true;
    } else {
      const token = parseJson(raw);
      section.prevBatch = typeof token === "string" && isStorableText(token) ? token : undefined;
    }
  }

  #summary(section: RoomSection, summary: unknown): void {
    if (!isObject(summary)) return;
    const heroes = summary["m.heroes"];
    section.summary = {
      heroes: Array.isArray(heroes)
        ? heroes.filter((hero): hero is string => typeof hero === "string" && isStorableText(hero)).slice(0, 5)
        : undefined,
      joinedCount: countAt(summary, "m.joined_member_count"),
      invitedCount: countAt(summary, "m.invited_member_count"),
    };
  }

  #counts(section: RoomSection, counts: unknown): void {
    if (!isObject(counts)) return;
    section.counts = {
      notifications: countAt(counts, "notification_count") ?? 0,
      highlights: countAt(counts, "highlight_count") ?? 0,
    };
  }

  /** The poll asks for counts by thread; dialects have one number, so threads are added to it. */
  #threads(threads: unknown): void {
    if (!isObject(threads)) return;
    for (const counts of Object.values(threads)) {
      if (!isObject(counts)) continue;
      this.#threadCounts.notifications += countAt(counts, "notification_count") ?? 0;
      this.#threadCounts.highlights += countAt(counts, "highlight_count") ?? 0;
    }
  }
}

/** Whether raw bytes are an event of the kind that account data and to-device lists hold: an object with a type. */
export function typeOf(raw: Buffer): string | undefined {
  const value = parseJson(raw);
  const type = isObject(value) && isObject(value.content) ? stringAt(value, "type") : undefined;
  return type !== undefined && type !== "" && isStorableText(type) ? type : undefined;
}
