import { membersOf, withoutMembers } from "../../lib/json-members.ts";
import { type EventId, isEventId, isUserId, type UserId } from "../../model/ids.ts";
import type { EventToStore } from "../../model/room-facts.ts";
import { isObject, isStorableText, type JsonObject, parseJson, stringAt } from "./json-value.ts";

/** An event of a v2 response, checked. */
export interface ParsedEvent extends EventToStore {
  readonly content: JsonObject;
  /** `unsigned.transaction_id`: only in the stream of the device that sent the event. */
  readonly transactionId: string | undefined;
}

/** Why an event cannot be stored. It is set aside and counted. */
export interface BadEvent {
  readonly bad: string;
  /** The type, where it can be told: state that cannot be stored sets its room aside. */
  readonly type: string | undefined;
  readonly isState: boolean;
  readonly stateKey: string | undefined;
}

/** Types longer than this cannot be valid: the specification limits a type to 255 bytes. */
const MAX_TYPE_BYTES = 255;

/** `unsigned` members that are the same for every reader; all others are personal or relative to when they were sent. */
const SHARED_UNSIGNED: ReadonlySet<string> = new Set([
  "prev_content",
  "prev_sender",
  "replaces_state",
  "redacted_because",
]);

/** Top-level members that are not part of a client event as `/sync` gives it (v1 format and server keys). */
const NOT_SERVED: ReadonlySet<string> = new Set([
  "unsigned",
  "room_id",
  "user_id",
  "age",
  "prev_content",
  "replaces_state",
  "redacted_because",
  "invite_room_state",
  "knock_room_state",
  "prev_events",
  "auth_events",
  "depth",
  "hashes",
  "signatures",
  "origin",
]);

/** Reads one raw event of a timeline or of state. */
export function parseEvent(raw: Buffer): ParsedEvent | BadEvent {
  const event = parseJson(raw);
  if (!isObject(event)) return { bad: "not a JSON object", type: undefined, isState: false, stateKey: undefined };
  const reason = faultOf(event);
  if (reason !== undefined) {
    return {
      bad: reason,
      type: stringAt(event, "type"),
      isState: Object.hasOwn(event, "state_key"),
      stateKey: stringAt(event, "state_key"),
    };
  }
  const unsigned = isObject(event.unsigned) ? event.unsigned : {};
  return {
    eventId: event.event_id as EventId,
    type: event.type as string,
    stateKey: stringAt(event, "state_key"),
    sender: event.sender as UserId,
    originServerTsMs: event.origin_server_ts as number,
    content: event.content as JsonObject,
    body: withoutMembers(raw, (key) => NOT_SERVED.has(key)),
    unsigned: Object.keys(unsigned).some((key) => SHARED_UNSIGNED.has(key)) ? sharedUnsigned(raw) : undefined,
    transactionId: stringAt(unsigned, "transaction_id"),
  };
}

function faultOf(event: JsonObject): string | undefined {
  const type = event.type;
  if (typeof type !== "string" || type === "") return "type is not a text";
  if (Buffer.byteLength(type) > MAX_TYPE_BYTES || !isStorableText(type)) return "type cannot be stored";
  if (!isEventId(event.event_id) || !isStorableText(event.event_id)) return "event_id is not an event id";
  if (!isUserId(event.sender) || !isStorableText(event.sender)) return "sender is not a user id";
  if (!isObject(event.content)) return "content is not an object";
  const ts = event.origin_server_ts;
  if (typeof ts !== "number" || !Number.isSafeInteger(ts)) return "origin_server_ts is not a safe integer";
  if (Object.hasOwn(event, "state_key")) {
    const stateKey = event.state_key;
    if (typeof stateKey !== "string" || !isStorableText(stateKey)) return "state_key is not a text";
    if (Buffer.byteLength(stateKey) > MAX_TYPE_BYTES) return "state_key is too long";
  }
  return undefined;
}

function sharedUnsigned(raw: Buffer): Buffer | undefined {
  // Of members with the same key the last one counts, as for JSON.parse.
  const member = membersOf(raw).findLast(({ key }) => key === "unsigned");
  if (member === undefined) return undefined;
  return withoutMembers(raw.subarray(member.valueStart, member.valueEnd), (key) => !SHARED_UNSIGNED.has(key));
}

export const isBad = (event: ParsedEvent | BadEvent): event is BadEvent => "bad" in event;
