import type {
  AccountDataAnswer,
  E2eeAnswer,
  ExtensionsResponse,
  ShownReceipt,
  ToDeviceAnswer,
} from "../../engine/response.ts";
import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { writeArray } from "../shared/event-json.ts";
import type { PieceWriter } from "../shared/piece-writer.ts";
import { toDeviceToken } from "../shared/to-device-token.ts";

/** Writes what was asked for, and no other key: matrix-js-sdk stops at one that it does not know. */
export function writeExtensions(writer: PieceWriter, extensions: ExtensionsResponse): void {
  const { toDevice, e2ee, accountData, receipts, typing } = extensions;
  let separator = "{";
  const member = <Answer>(name: string, answer: Answer | undefined, write: (answer: Answer) => void) => {
    if (answer === undefined) return;
    writer.text(`${separator}"${name}":`);
    write(answer);
    separator = ",";
  };
  member("to_device", toDevice, (answer) => writeToDevice(writer, answer));
  member("e2ee", e2ee, (answer) => writer.text(JSON.stringify(wireE2ee(answer))));
  member("account_data", accountData, (answer) => writeAccountData(writer, answer));
  member("receipts", receipts, ({ rooms }) => writer.text(JSON.stringify({ rooms: wireRooms(rooms, wireReceipts) })));
  member("typing", typing, ({ rooms }) => writer.text(JSON.stringify({ rooms: wireRooms(rooms, wireTyping) })));
  writer.text(separator === "{" ? "{}" : "}");
}

function writeToDevice(writer: PieceWriter, { nextBatch, events }: ToDeviceAnswer): void {
  writer.text(`{"next_batch":"${toDeviceToken(nextBatch)}","events":`);
  writeArray(writer, events, (event) => writer.bytes(event));
  writer.text("}");
}

/** Both keys are there also when they are empty, as homeservers do. */
function writeAccountData(writer: PieceWriter, { global, rooms }: AccountDataAnswer): void {
  writer.text('{"global":');
  writeArray(writer, global, (event) => writer.bytes(event));
  let separator = ',"rooms":{';
  for (const [roomId, events] of rooms) {
    writer.text(`${separator}${JSON.stringify(roomId)}:`);
    writeArray(writer, events, (event) => writer.bytes(event));
    separator = ",";
  }
  writer.text(rooms.size === 0 ? `${separator}}}` : "}}");
}

/** Keys may be any text, `__proto__` included, and must not be taken for more than that. */
function wireRooms<Answer>(
  rooms: ReadonlyMap<RoomId, Answer>,
  wire: (answer: Answer) => unknown,
): Record<string, unknown> {
  const all: Record<string, unknown> = Object.create(null);
  for (const [roomId, answer] of rooms) all[roomId] = wire(answer);
  return all;
}

type WireReceipts = Record<string, Record<string, Record<string, unknown>>>;

function wireReceipts(receipts: readonly ShownReceipt[]): unknown {
  const content: WireReceipts = Object.create(null);
  for (const { eventId, type, userId, tsMs, threadId } of receipts) {
    content[eventId] ??= Object.create(null);
    const byType = content[eventId] ?? {};
    byType[type] ??= Object.create(null);
    const byUser = byType[type] ?? {};
    byUser[userId] = { ts: Math.max(0, tsMs), thread_id: threadId };
  }
  return { type: "m.receipt", content };
}

const wireTyping = (userIds: readonly UserId[]) => ({ type: "m.typing", content: { user_ids: userIds } });

const wireE2ee = ({ deviceLists, oneTimeKeys, fallbackKeys }: E2eeAnswer) => ({
  device_lists: deviceLists,
  device_one_time_keys_count: oneTimeKeys && wireCounts(oneTimeKeys),
  device_unused_fallback_key_types: fallbackKeys && wireTypes(fallbackKeys),
});

/** A client takes an algorithm that is not named for one that has as many keys as before. */
function wireCounts(bytes: Buffer): Record<string, number> {
  const counts: Record<string, number> = Object.assign(Object.create(null), { signed_curve25519: 0 });
  const known = parseJson(bytes);
  for (const [algorithm, count] of Object.entries(isJsonObject(known) ? known : {})) {
    if (Number.isSafeInteger(count) && Number(count) >= 0) counts[algorithm] = Number(count);
  }
  return counts;
}

function wireTypes(bytes: Buffer): readonly string[] {
  const types = parseJson(bytes);
  return Array.isArray(types) ? types.filter((type) => typeof type === "string") : [];
}
