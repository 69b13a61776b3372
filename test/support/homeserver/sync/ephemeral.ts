import type { JsonObject } from "../json.ts";
import type { Receipt, Room } from "../room.ts";
import type { StreamToken } from "../tokens.ts";
import type { SyncRequest } from "./model.ts";

/** Typing and receipts in (since, now], by room. */
export function ephemeralByRoom(
  request: SyncRequest,
  rooms: readonly Room[],
  now: StreamToken,
): Map<string, JsonObject[]> {
  const since = { typing: request.since?.typing ?? 0, receipt: request.since?.receipt ?? 0 };
  const byRoom = new Map<string, JsonObject[]>();
  if (request.filter.rooms.blocks("rooms") || request.filter.blocks("ephemeral")) return byRoom;
  const add = (room: Room, event: JsonObject) => {
    const isWanted = [request.filter.rooms, request.filter.ephemeral].every((filter) =>
      filter.passes({ type: event.type as string, roomId: room.id, content: event.content }),
    );
    if (isWanted) byRoom.set(room.id, [...(byRoom.get(room.id) ?? []), event]);
  };
  for (const room of rooms) if (room.typingSerial > since.typing) add(room, typingEvent(room));
  for (const room of rooms) {
    const event = receiptEvent(room, since.receipt, now.receipt, request.device.user.userId);
    if (event !== undefined) add(room, event);
  }
  return byRoom;
}

/** Everyone who types, each time anew; nobody, once the last one stopped. */
function typingEvent(room: Room): JsonObject {
  return { type: "m.typing", content: { user_ids: [...room.typing.keys()] } };
}

function receiptEvent(room: Room, after: number, upto: number, reader: string): JsonObject | undefined {
  const content: Record<string, Record<string, JsonObject>> = {};
  for (const receipt of room.receipts.values()) {
    if (receipt.position <= after || receipt.position > upto) continue;
    if (receipt.type === "m.read.private" && receipt.userId !== reader) continue;
    const ofEvent = content[receipt.eventId] ?? {};
    ofEvent[receipt.type] = { ...ofEvent[receipt.type], [receipt.userId]: receiptData(receipt) };
    content[receipt.eventId] = ofEvent;
  }
  return Object.keys(content).length === 0 ? undefined : { type: "m.receipt", content };
}

function receiptData({ ts, threadId }: Receipt): JsonObject {
  return threadId === undefined ? { ts } : { ts, thread_id: threadId };
}
