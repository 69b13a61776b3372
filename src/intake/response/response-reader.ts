import { isUtf8 } from "node:buffer";
import { compilePatterns } from "../../lib/json-patterns.ts";
import { JsonSplitter } from "../../lib/json-splitter.ts";
import { isJsonObject, isStorableText, parseJson } from "../../lib/json-value.ts";
import { isRoomId, type RoomId } from "../../model/ids.ts";
import { type AccountDataEvent, dropValues, emptySection, type RoomSection, type SectionKind } from "./room-section.ts";
import {
  accountDataEvent,
  countsOf,
  isStorableUserId,
  isToDeviceEvent,
  summaryOf,
  sumOfCounts,
  threadCountsOf,
  tokenOf,
} from "./section-values.ts";

/** What a v2 response says beside its rooms. */
export interface ResponseRest {
  nextBatch: string | undefined;
  readonly accountData: AccountDataEvent[];
  /** The whole `account_data` was read; false: there is none, or it may still come. */
  isAccountDataWhole: boolean;
  /** Raw JSON objects. */
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

/** What one room may hold in one response. Larger: one room fills memory. Smaller: a room with 100,000 members is set aside. */
const MAX_ROOM_BYTES = 64 * 1024 * 1024;

type Path = readonly (string | number)[];

const ROOM = ["rooms", "*", "*"] as const;
const ACCOUNT_DATA = ["account_data"] as const;
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

const CONTAINERS = [ROOM, [...ROOM, "state_after"], [...ROOM, "org.matrix.msc4222.state_after"], ACCOUNT_DATA] as const;

const PATTERNS = compilePatterns([...TOP_PATTERNS, ...ROOM_PATTERNS], CONTAINERS);

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
    isAccountDataWhole: false,
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
      patterns: PATTERNS,
      onValue: (_pattern, path, raw) => this.#value(path, asUtf8(raw)),
      onOpen: (_pattern, path, kind) => this.#open(path, kind),
      onClose: (_pattern, path) => this.#close(path),
    });
  }

  write(chunk: Uint8Array): void {
    this.#splitter.write(chunk);
  }

  /** Throws unless the body was one whole JSON value. */
  end(): void {
    this.#splitter.end();
  }

  #open(path: Path, container: "object" | "array"): void {
    if (path.length === ROOM.length) this.#openRoom(path, container);
    else if (path.length > ROOM.length && this.#section !== undefined) this.#section.stateAfter ??= [];
  }

  #close(path: Path): void {
    if (path.length === ROOM.length) this.#closeRoom();
    else if (path.length === ACCOUNT_DATA.length) this.rest.isAccountDataWhole = true;
  }

  #openRoom(path: Path, container: "object" | "array"): void {
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

  /** The poll asks for counts by thread; dialects have one number, so threads are added to it. */
  #closeRoom(): void {
    const section = this.#section;
    this.#section = undefined;
    if (section === undefined) return;
    if (section.fault !== undefined) this.#receiver.onSetAside("room", section.roomId, section.fault);
    if (section.counts !== undefined) section.counts = sumOfCounts(section.counts, this.#threadCounts);
    this.#receiver.onRoom(section);
  }

  #value(path: Path, raw: Buffer): void {
    if (path[0] !== "rooms") this.#topValue(path, raw);
    else if (this.#section !== undefined) this.#roomValue(this.#section, path, raw);
  }

  #topValue(path: Path, raw: Buffer): void {
    switch (path[0]) {
      case "next_batch":
        this.rest.nextBatch = tokenOf(raw);
        break;
      case "account_data":
        this.#accountData(this.rest.accountData, raw);
        break;
      case "to_device":
        if (isToDeviceEvent(raw)) this.rest.toDevice.push(raw);
        else this.#receiver.onSetAside("section", "to_device", "not an event");
        break;
      case "device_lists":
        this.#deviceLists(parseJson(raw));
        break;
      case "device_one_time_keys_count":
        if (isJsonObject(parseJson(raw))) this.rest.oneTimeKeys = raw;
        break;
      default:
        if (Array.isArray(parseJson(raw))) this.rest.fallbackKeys = raw;
    }
  }

  #accountData(list: AccountDataEvent[], raw: Buffer): void {
    const event = accountDataEvent(raw);
    if (event !== undefined) list.push(event);
    else this.#receiver.onSetAside("section", `${this.#section?.roomId ?? ""} account_data`.trim(), "not an event");
  }

  #deviceLists(lists: unknown): void {
    if (!isJsonObject(lists)) return;
    for (const kind of ["changed", "left"] as const) {
      const users = lists[kind];
      if (!Array.isArray(users)) continue;
      const known = users.filter(isStorableUserId);
      for (const user of known) this.rest.deviceLists[kind].push(user);
      if (known.length < users.length) this.#receiver.onSetAside("section", `device_lists.${kind}`, "not a user id");
    }
  }

  #roomValue(section: RoomSection, path: Path, raw: Buffer): void {
    section.bytes += raw.length;
    if (section.fault !== undefined) return;
    if (section.bytes > MAX_ROOM_BYTES) {
      dropValues(section, `more than ${MAX_ROOM_BYTES} bytes in one response`);
      return;
    }
    const part = path[3];
    if (part === "timeline") this.#timelineValue(section, path[4], raw);
    else if (part === "state") section.state.push(raw);
    else if (STATE_AFTER_KEYS.has(part)) section.stateAfter?.push(raw);
    else if (part === "ephemeral") section.ephemeral.push(raw);
    else if (part === "account_data") this.#accountData(section.accountData, raw);
    else if (part === "summary") section.summary = summaryOf(raw);
    else if (part === "unread_notifications") section.counts = countsOf(raw);
    else if (part === "unread_thread_notifications") this.#threadCounts = threadCountsOf(raw);
    else section.stripped.push(raw);
  }

  #timelineValue(section: RoomSection, key: string | number | undefined, raw: Buffer): void {
    if (key === "events") section.timeline.push(raw);
    else if (key === "limited") section.limited = parseJson(raw) === true;
    else section.prevBatch = tokenOf(raw);
  }
}

/** Bytes that are no UTF-8 would break every answer that they are put into; they are read as any decoder reads them. */
const asUtf8 = (raw: Buffer): Buffer => (isUtf8(raw) ? raw : Buffer.from(raw.toString("utf8")));
