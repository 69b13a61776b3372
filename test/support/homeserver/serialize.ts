import { lacksRoomId, type StoredEvent } from "./event.ts";
import type { JsonObject } from "./json.ts";
import type { Profile } from "./profile.ts";
import { type Bundle, type Shown, shownAs } from "./shown.ts";
import type { Device } from "./user.ts";

export interface SerializeOptions {
  readonly nowMs: number;
  readonly device: Device;
  /**
   * `/sync` leaves `room_id` away. Most other endpoints of Synapse also repeat fields of `unsigned` at the top and add
   * `user_id`.
   */
  readonly format: "sync" | "plain" | "legacy";
  readonly previous: Profile["previousContent"];
  /** It is told as state, not in a timeline. */
  readonly isState?: boolean;
}

export function serialize(shown: Shown, options: SerializeOptions): JsonObject {
  const { event } = shown;
  const json: JsonObject = { content: shown.content, event_id: event.eventId, origin_server_ts: event.originServerTs };
  if (options.format !== "sync" || lacksRoomId(event)) json.room_id = event.roomId;
  if (event.redacts !== undefined) json.redacts = event.redacts;
  json.sender = event.sender;
  if (event.stateKey !== undefined) json.state_key = event.stateKey;
  json.type = event.type;
  const unsigned = unsignedOf(shown, options);
  json.unsigned = unsigned;
  if (options.format === "legacy") copyUp(json, unsigned, event);
  return json;
}

function unsignedOf({ event, membership, redactedBecause, bundle }: Shown, options: SerializeOptions): JsonObject {
  const unsigned: JsonObject = { age: options.nowMs - event.originServerTs };
  if (membership !== undefined) unsigned.membership = membership;
  if (event.replaces !== undefined) {
    if (tellsPrevious(event, options)) {
      unsigned.prev_content = event.replaces.content;
      unsigned.prev_sender = event.replaces.sender;
    }
    unsigned.replaces_state = event.replaces.eventId;
  }
  if (redactedBecause !== undefined) {
    unsigned.redacted_by = redactedBecause.eventId;
    unsigned.redacted_because = serialize(shownAs(redactedBecause), options);
  }
  const { sentBy } = event;
  const { device } = options;
  if (sentBy?.deviceId === device.deviceId && sentBy.userId === device.user.userId) {
    unsigned.transaction_id = sentBy.txnId;
  }
  if (bundle !== undefined) addBundle(unsigned, bundle, options);
  return unsigned;
}

function tellsPrevious(event: StoredEvent, { previous, isState }: SerializeOptions): boolean {
  if (previous === "always") return true;
  return previous === "in timelines" ? isState !== true : event.knowsPrevious;
}

function addBundle(unsigned: JsonObject, { references, edit, thread }: Bundle, options: SerializeOptions): void {
  const relations: JsonObject = {};
  if (references.length > 0) relations["m.reference"] = { chunk: references.map((event_id) => ({ event_id })) };
  if (edit !== undefined) relations["m.replace"] = serialize(edit, options);
  if (thread !== undefined) {
    const { latest, count, hasReaderIn } = thread;
    relations["m.thread"] = {
      latest_event: serialize(latest, options),
      count,
      current_user_participated: hasReaderIn,
    };
  }
  if (Object.keys(relations).length > 0) unsigned["m.relations"] = relations;
}

const COPIED = ["age", "redacted_because", "replaces_state", "prev_content"];

function copyUp(json: JsonObject, unsigned: JsonObject, event: StoredEvent): void {
  json.user_id = event.sender;
  for (const name of COPIED) if (unsigned[name] !== undefined) json[name] = unsigned[name];
}
