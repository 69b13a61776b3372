import { isJsonObject, isStorableText, type JsonObject, parseJson, textAt } from "../../lib/json-value.ts";
import { isUserId } from "../../model/ids.ts";
import type { AccountDataEvent, RoomSummary, UnreadCounts } from "./room-section.ts";

/** The longest type that is stored: keys of the store's indexes are bounded. The specification allows no more to events. */
export const MAX_TYPE_BYTES = 255;

/** Counts are stored in 32 bits. */
const MAX_COUNT = 2 ** 31 - 1;

/** At most so many heroes are of use (Client-Server API, `m.heroes`). */
const MAX_HEROES = 5;

const isStorableType = (type: string | undefined): type is string =>
  type !== undefined && Buffer.byteLength(type) <= MAX_TYPE_BYTES && isStorableText(type);

/** undefined: it is no account data event, or one that cannot be stored. */
export function accountDataEvent(raw: Buffer): AccountDataEvent | undefined {
  const value = parseJson(raw);
  const type = isJsonObject(value) && isJsonObject(value.content) ? textAt(value, "type") : undefined;
  return isStorableType(type) && type !== "" ? { type, body: raw } : undefined;
}

/** Whether raw JSON is an event that a client can be sent as a to-device message. */
export function isToDeviceEvent(raw: Buffer): boolean {
  const value = parseJson(raw);
  return isJsonObject(value) && textAt(value, "type") !== undefined;
}

/** A token of the homeserver's: a text that can be stored. */
export function tokenOf(raw: Buffer): string | undefined {
  const token = parseJson(raw);
  return typeof token === "string" && isStorableText(token) ? token : undefined;
}

/** A count as the homeserver gives it: an integer from 0, else undefined. */
function countAt(object: JsonObject, key: string): number | undefined {
  const value = Object.hasOwn(object, key) ? object[key] : undefined;
  const isCount = typeof value === "number" && Number.isSafeInteger(value) && value >= 0;
  return isCount ? Math.min(value, MAX_COUNT) : undefined;
}

export function summaryOf(raw: Buffer): RoomSummary | undefined {
  const summary = parseJson(raw);
  if (!isJsonObject(summary)) return undefined;
  const heroes = summary["m.heroes"];
  return {
    heroes: Array.isArray(heroes) ? heroes.filter(isStorableUserId).slice(0, MAX_HEROES) : undefined,
    joinedCount: countAt(summary, "m.joined_member_count"),
    invitedCount: countAt(summary, "m.invited_member_count"),
  };
}

export const isStorableUserId = (value: unknown): value is string => isUserId(value) && isStorableText(value);

/** `unread_notifications` */
export function countsOf(raw: Buffer): UnreadCounts | undefined {
  const counts = parseJson(raw);
  return isJsonObject(counts) ? countsIn(counts) : undefined;
}

/** `unread_thread_notifications`, all threads together. */
export function threadCountsOf(raw: Buffer): UnreadCounts {
  const threads = parseJson(raw);
  const each = isJsonObject(threads) ? Object.values(threads).filter(isJsonObject).map(countsIn) : [];
  return each.reduce(sumOfCounts, { notifications: 0, highlights: 0 });
}

const countsIn = (counts: JsonObject): UnreadCounts => ({
  notifications: countAt(counts, "notification_count") ?? 0,
  highlights: countAt(counts, "highlight_count") ?? 0,
});

export const sumOfCounts = (a: UnreadCounts, b: UnreadCounts): UnreadCounts => ({
  notifications: Math.min(MAX_COUNT, a.notifications + b.notifications),
  highlights: Math.min(MAX_COUNT, a.highlights + b.highlights),
});
