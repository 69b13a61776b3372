import { membersOf, withMember, withoutMembers } from "../../lib/json-members.ts";
import { isJsonObject, isStorableText, type JsonObject, parseJson, textAt } from "../../lib/json-value.ts";
import { type EventId, isEventId, isUserId, storableEventId, type UserId } from "../../model/ids.ts";
import type { EventToStore } from "../../model/room-facts.ts";
import { MAX_TYPE_BYTES } from "./section-values.ts";

/** An event of a v2 response, checked. */
export interface ParsedEvent extends EventToStore {
  readonly content: JsonObject;
  /** `unsigned.transaction_id`: only in the stream of the device that sent the event. */
  readonly transactionId: string | undefined;
  /** Its own member `redacts`, where that is an event id. Room versions differ in whether it counts. */
  readonly redacts: EventId | undefined;
  /** The homeserver sent it in redacted form: event id of the redaction, `""` where it does not say. */
  readonly redactedBy: EventId | "" | undefined;
}

/** Why an event cannot be stored. It is set aside and counted. */
export interface BadEvent {
  readonly bad: string;
  /** The type, where it can be told. */
  readonly type: string | undefined;
  readonly isState: boolean;
}

export const ENCRYPTION = "m.room.encryption";

/** `unsigned` members that are the same for every reader; all others are personal or relative to when they were sent. */
const SHARED_UNSIGNED: ReadonlySet<string> = new Set(["prev_content", "prev_sender", "replaces_state"]);
export const REDACTED_BECAUSE = "redacted_because";

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

const OPEN_BRACE = 0x7b;

const isNotServed = (key: string): boolean => NOT_SERVED.has(key);

/** Reads one raw event of a timeline or of state. What is odd but can be stored and served is kept byte for byte. */
export function parseEvent(raw: Buffer): ParsedEvent | BadEvent {
  const event = parseJson(raw);
  if (!isJsonObject(event)) return { bad: "not a JSON object", type: undefined, isState: false };
  const reason = faultOf(event);
  if (reason !== undefined) return { bad: reason, type: textAt(event, "type"), isState: hasStateKey(event) };
  const unsigned = isJsonObject(event.unsigned) ? event.unsigned : {};
  const transactionId = textAt(unsigned, "transaction_id");
  const redaction = isJsonObject(unsigned[REDACTED_BECAUSE]) ? unsigned[REDACTED_BECAUSE] : undefined;
  const isShared = redaction !== undefined || Object.keys(unsigned).some((key) => SHARED_UNSIGNED.has(key));
  return {
    eventId: event.event_id as EventId,
    type: event.type as string,
    stateKey: textAt(event, "state_key"),
    sender: event.sender as UserId,
    originServerTsMs: safeInteger(event.origin_server_ts as number),
    content: isJsonObject(event.content) ? event.content : {},
    body: withoutMembers(raw, (key) => isNotServed(key) || (key === "state_key" && !hasStateKey(event))),
    unsigned: isShared ? sharedUnsigned(raw) : undefined,
    previous: isJsonObject(unsigned.prev_content) ? storableEventId(unsigned.replaces_state) : undefined,
    redacts: storableEventId(event.redacts),
    redactedBy: redaction && (storableEventId(redaction.event_id) ?? ""),
    transactionId: transactionId !== undefined && isStorableText(transactionId) ? transactionId : undefined,
  };
}

/** `null` stands for a key that is not there: some servers write all members of an event. */
const hasStateKey = (event: JsonObject): boolean => Object.hasOwn(event, "state_key") && event.state_key !== null;

function faultOf(event: JsonObject): string | undefined {
  const { type, content, state_key: stateKey } = event;
  if (typeof type !== "string") return "type is not a text";
  if (Buffer.byteLength(type) > MAX_TYPE_BYTES || !isStorableText(type)) return "type cannot be stored";
  if (!isEventId(event.event_id) || !isStorableText(event.event_id)) return "event_id is not an event id";
  if (!isUserId(event.sender) || !isStorableText(event.sender)) return "sender is not a user id";
  // Encryption counts whatever it holds: clients that never saw it would send plain text.
  if (!isJsonObject(content) && type !== ENCRYPTION) return "content is not an object";
  if (typeof event.origin_server_ts !== "number") return "origin_server_ts is not a number";
  if (!hasStateKey(event)) return undefined;
  if (typeof stateKey !== "string" || !isStorableText(stateKey)) return "state_key is not a text";
  return Buffer.byteLength(stateKey) > MAX_TYPE_BYTES ? "state_key is too long" : undefined;
}

/** Old room versions allow any number for a time; the body keeps it. */
const safeInteger = (value: number): number =>
  Math.trunc(Math.min(Number.MAX_SAFE_INTEGER, Math.max(Number.MIN_SAFE_INTEGER, value)));

function sharedUnsigned(raw: Buffer): Buffer | undefined {
  const unsigned = lastMember(raw, "unsigned");
  if (unsigned === undefined) return undefined;
  const shared = withoutMembers(unsigned, (key) => !SHARED_UNSIGNED.has(key));
  const redaction = lastMember(unsigned, REDACTED_BECAUSE);
  return redaction?.[0] === OPEN_BRACE ? withRedaction(shared, withoutMembers(redaction, isNotServed)) : shared;
}

/** The value of a member. Of members with the same key the last one counts, as for JSON.parse. */
export function lastMember(object: Buffer, wanted: string): Buffer | undefined {
  const member = membersOf(object).findLast(({ key }) => key === wanted);
  return member && object.subarray(member.valueStart, member.valueEnd);
}

/** `unsigned` of an event in redacted form; `redaction` is the body of what redacted it. */
export const withRedaction = (unsigned: Buffer, redaction: Buffer): Buffer =>
  withMember(
    withoutMembers(unsigned, (key) => key === REDACTED_BECAUSE),
    REDACTED_BECAUSE,
    redaction,
  );

export const isBad = (event: ParsedEvent | BadEvent): event is BadEvent => "bad" in event;
