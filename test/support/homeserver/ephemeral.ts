import { MatrixError } from "./matrix-error.ts";
import type { Room } from "./room.ts";
import type { User } from "./user.ts";
import type { World } from "./world.ts";

const RECEIPT_TYPES = ["m.read", "m.read.private"];

/** Records a receipt, unless the reader already has one of the kind at or after the event. */
export function addReceipt(
  world: World,
  room: Room,
  user: User,
  type: string,
  eventId: string,
  threadId?: string,
): void {
  if (!RECEIPT_TYPES.includes(type)) {
    throw new MatrixError(400, "M_UNKNOWN", "Receipt type must be m.read, m.fully_read, m.read.private");
  }
  const event = world.events.get(eventId);
  const key = JSON.stringify([type, user.userId, threadId]);
  const known = room.receipts.get(key);
  // Synapse answers 200 for an event that it does not know, and does nothing.
  if (event?.roomId !== room.id || (known !== undefined && known.eventStream >= event.stream)) return;
  world.streams.receipt += 1;
  const position = world.streams.receipt;
  const ts = world.clock.nowMs();
  const receipt = { type, userId: user.userId, eventId, eventStream: event.stream, threadId, ts, position };
  room.receipts.set(key, receipt);
  world.receiptLog.push({ position, roomId: room.id });
  if (type === "m.read.private") world.wakeUp.wake(user.userId);
  else world.wakeRoom(room);
}

/** Typing of the users of a room, each until a time; timers live in the returned object. */
export interface TypingClock {
  set(room: Room, userId: string, isTyping: boolean, timeoutMs: number): void;
}

export function createTypingClock(world: World): TypingClock {
  const timers = new Map<string, NodeJS.Timeout>();
  return {
    set: (room, userId, isTyping, timeoutMs) => {
      const key = `${room.id} ${userId}`;
      clearTimeout(timers.get(key));
      timers.delete(key);
      const wasTyping = room.typing.has(userId);
      if (isTyping) {
        room.typing.set(userId, world.clock.nowMs() + timeoutMs);
        const expire = () => {
          if (room.typing.delete(userId)) world.noteTyping(room);
        };
        timers.set(key, setTimeout(expire, timeoutMs).unref());
      } else room.typing.delete(userId);
      // Typing on, which only moves the time out, is no news.
      if (wasTyping !== isTyping) world.noteTyping(room);
    },
  };
}
