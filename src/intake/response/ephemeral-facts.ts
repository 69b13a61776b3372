import { isJsonObject, isStorableText, parseJson } from "../../lib/json-value.ts";
import { isEventId, MAX_ID_BYTES } from "../../model/ids.ts";
import { isStorableUserId } from "./section-values.ts";

/** A receipt of one user in a room. */
export interface ReceiptFact {
  readonly userId: string;
  readonly receiptType: string;
  /** `""`: unthreaded. */
  readonly threadId: string;
  readonly eventId: string;
  readonly tsMs: number;
}

/** `m.receipt` and `m.typing` of a room's `ephemeral` section. */
export interface EphemeralFacts {
  readonly receipts: readonly ReceiptFact[];
  /** Who types, sorted; undefined: nothing is said. */
  readonly typing: readonly string[] | undefined;
}

/** What cannot be stored is left out: none of it is missed for long. */
export function ephemeralOf(events: readonly Buffer[]): EphemeralFacts {
  const receipts: ReceiptFact[] = [];
  let typing: EphemeralFacts["typing"];
  for (const raw of events) {
    const event = parseJson(raw);
    if (!isJsonObject(event) || !isJsonObject(event.content)) continue;
    if (event.type === "m.receipt") for (const receipt of receiptsOf(event.content)) receipts.push(receipt);
    if (event.type === "m.typing") typing = userIdsOf(event.content.user_ids);
  }
  return { receipts, typing };
}

const userIdsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? [...new Set(value.filter(isStorableUserId))].sort() : [];

const entriesOf = (value: unknown): readonly [string, unknown][] => (isJsonObject(value) ? Object.entries(value) : []);

const isStorableKey = (text: string): boolean => Buffer.byteLength(text) <= MAX_ID_BYTES && isStorableText(text);

/** `{event id: {receipt type: {user id: {ts, thread_id?}}}}` */
function receiptsOf(content: unknown): readonly ReceiptFact[] {
  return entriesOf(content).flatMap(([eventId, byType]) =>
    entriesOf(byType).flatMap(([receiptType, byUser]) =>
      entriesOf(byUser).flatMap(([userId, receipt]) => {
        const { ts, thread_id: thread } = isJsonObject(receipt) ? receipt : {};
        const threadId = typeof thread === "string" ? thread : "";
        const isStorable = isEventId(eventId) && isStorableUserId(userId);
        if (!isStorable || ![eventId, receiptType, threadId].every(isStorableKey)) return [];
        const tsMs = typeof ts === "number" && Number.isSafeInteger(ts) ? ts : 0;
        return [{ userId, receiptType, threadId, eventId, tsMs }];
      }),
    ),
  );
}
