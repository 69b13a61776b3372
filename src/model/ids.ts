import type { Brand } from "../lib/brand.ts";
import { isStorableText } from "../lib/json-value.ts";

/** `@localpart:server` */
export type UserId = Brand<string, "UserId">;
/** `!opaque:server`, or `!opaque` since room version 12: never parse a server name out of it. */
export type RoomId = Brand<string, "RoomId">;
/** `$opaque` */
export type EventId = Brand<string, "EventId">;
/** Opaque; `""` for a token without a device. */
export type DeviceId = Brand<string, "DeviceId">;

/** Our number of a room: dense, so that it indexes typed arrays. Never leaves the program. */
export type RoomNid = Brand<number, "RoomNid">;
/** Our number of a user whose devices use Slidecar. */
export type UserNid = Brand<number, "UserNid">;
/** Our number of a (user, device). */
export type DeviceNid = Brand<number, "DeviceNid">;
/** Our number of a stored event. */
export type EventNid = Brand<number, "EventNid">;
/** Our number of a run of events without a hole (docs/concepts/chunks-and-attestation.md). */
export type ChunkNid = Brand<number, "ChunkNid">;

/** The longest identifier that the Matrix specification allows, in bytes ("Common identifier format"). */
export const MAX_ID_BYTES = 255;

const isBounded = (text: string) => Buffer.byteLength(text) <= MAX_ID_BYTES && !text.includes("\0");

export const isUserId = (value: unknown): value is UserId =>
  typeof value === "string" && value.startsWith("@") && value.includes(":") && isBounded(value);

export const isRoomId = (value: unknown): value is RoomId =>
  typeof value === "string" && value.length > 1 && value.startsWith("!") && isBounded(value);

export const isEventId = (value: unknown): value is EventId =>
  typeof value === "string" && value.length > 1 && value.startsWith("$") && isBounded(value);

/** An event id that a database can hold. */
export const storableEventId = (value: unknown): EventId | undefined =>
  isEventId(value) && isStorableText(value) ? value : undefined;
