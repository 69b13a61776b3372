import { isJsonObject, isStorableText, parseJson } from "../../lib/json-value.ts";
import { isEventId, MAX_ID_BYTES, type RoomNid } from "../../model/ids.ts";
import type { Receipt, Typing } from "../../store/user-facts.ts";
import type { AccountDataEvent } from "../response/room-section.ts";
import { isStorableUserId } from "../response/section-values.ts";

/** `m.receipt` and `m.typing` of a room's `ephemeral` section. */
export interface EphemeralFacts {
  readonly receipts: readonly Omit<Receipt, "batch">[];
  readonly typing: Omit<Typing, "batch"> | undefined;
}

/** What cannot be stored is left out: none of it is missed for long. */
export function ephemeralOf(room: RoomNid, events: readonly Buffer[]): EphemeralFacts {
  const receipts: Omit<Receipt, "batch">[] = [];
  let typing: EphemeralFacts["typing"];
  for (const raw of events) {
    const event = parseJson(raw);
    if (!isJsonObject(event) || !isJsonObject(event.content)) continue;
    if (event.type === "m.receipt") for (const receipt of receiptsOf(room, event.content)) receipts.push(receipt);
    if (event.type === "m.typing") typing = { room, userIds: userIdsOf(event.content.user_ids) };
  }
  return { receipts, typing };
}

const userIdsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? [...new Set(value.filter(isStorableUserId))] : [];

const entriesOf = (value: unknown): readonly [string, unknown][] => (isJsonObject(value) ? Object.entries(value) : []);

const isStorableKey = (text: string): boolean => Buffer.byteLength(text) <= MAX_ID_BYTES && isStorableText(text);

/** `{event id: {receipt type: {user id: {ts, thread_id?}}}}` */
function receiptsOf(room: RoomNid, content: unknown): readonly Omit<Receipt, "batch">[] {
  return entriesOf(content).flatMap(([eventId, byType]) =>
    entriesOf(byType).flatMap(([receiptType, byUser]) =>
      entriesOf(byUser).flatMap(([userId, receipt]) => {
        const { ts, thread_id: thread } = isJsonObject(receipt) ? receipt : {};
        const threadId = typeof thread === "string" ? thread : "";
        const isStorable = isEventId(eventId) && isStorableUserId(userId);
        if (!isStorable || ![eventId, receiptType, threadId].every(isStorableKey)) return [];
        const tsMs = typeof ts === "number" && Number.isSafeInteger(ts) ? ts : 0;
        return [{ room, userId, receiptType, threadId, eventId, tsMs }];
      }),
    ),
  );
}

/** Whether the user's `m.ignored_user_list` event names anybody. */
export function ignoresSomebody(event: Buffer): boolean {
  const value = parseJson(event);
  const content = isJsonObject(value) ? value.content : undefined;
  const ignored = isJsonObject(content) ? content.ignored_users : undefined;
  return isJsonObject(ignored) && Object.keys(ignored).length > 0;
}

/** Whether account data names anybody to ignore; undefined: it does not say. */
export function ignoringIn(accountData: readonly AccountDataEvent[]): boolean | undefined {
  const list = accountData.findLast(({ type }) => type === "m.ignored_user_list");
  return list === undefined ? undefined : ignoresSomebody(list.body);
}
