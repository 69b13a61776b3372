import type { RoomNid, UserNid } from "../../model/ids.ts";
import type { AccountDatum, Receipt, Typing } from "../../store/user-facts.ts";
import { isObject, isStorableText, parseJson } from "../response/json-value.ts";
import { typeOf } from "../response/response-reader.ts";

/** Account data events of one user in one room (or {@link GLOBAL}); what has no type or content is left out. */
export function accountDataOf(
  userNid: UserNid,
  room: RoomNid,
  events: readonly Buffer[],
  batch: number,
): readonly AccountDatum[] {
  return events.flatMap((body) => {
    const type = typeOf(body);
    return type === undefined ? [] : [{ userNid, room, type, body, batch }];
  });
}

/** `m.receipt` and `m.typing` of a room's `ephemeral` section. */
export interface EphemeralFacts {
  readonly receipts: readonly Omit<Receipt, "batch">[];
  readonly typing: Omit<Typing, "batch"> | undefined;
}

export function ephemeralOf(room: RoomNid, events: readonly Buffer[]): EphemeralFacts {
  const receipts: Omit<Receipt, "batch">[] = [];
  let typing: EphemeralFacts["typing"];
  for (const raw of events) {
    const event = parseJson(raw);
    if (!isObject(event) || !isObject(event.content)) continue;
    if (event.type === "m.receipt") receipts.push(...receiptsOf(room, event.content));
    if (event.type === "m.typing") typing = { room, userIds: textsOf(event.content.user_ids) };
  }
  return { receipts, typing };
}

const textsOf = (value: unknown): readonly string[] =>
  Array.isArray(value) ? value.filter((text): text is string => typeof text === "string" && isStorableText(text)) : [];

const entriesOf = (value: unknown): readonly [string, unknown][] => (isObject(value) ? Object.entries(value) : []);

/** `{event id: {receipt type: {user id: {ts, thread_id?}}}}` */
function receiptsOf(room: RoomNid, content: unknown): readonly Omit<Receipt, "batch">[] {
  return entriesOf(content).flatMap(([eventId, byType]) =>
    entriesOf(byType).flatMap(([receiptType, byUser]) =>
      entriesOf(byUser).flatMap(([userId, receipt]) => {
        const { ts, thread_id: thread } = isObject(receipt) ? receipt : {};
        const threadId = typeof thread === "string" ? thread : "";
        if (![eventId, receiptType, userId, threadId].every(isStorableText)) return [];
        const tsMs = typeof ts === "number" && Number.isSafeInteger(ts) ? ts : 0;
        return [{ room, userId, receiptType, threadId, eventId, tsMs }];
      }),
    ),
  );
}

/** Whether an `m.ignored_user_list` event names anybody. */
export function ignoresSomebody(event: Buffer): boolean {
  const value = parseJson(event);
  const content = isObject(value) ? value.content : undefined;
  const ignored = isObject(content) ? content.ignored_users : undefined;
  return isObject(ignored) && Object.keys(ignored).length > 0;
}
