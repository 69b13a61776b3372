import { membershipOf, type StoredEvent } from "../event.ts";
import { threadOf } from "../relation.ts";
import type { Room } from "../room.ts";
import type { User } from "../user.ts";
import { type Evaluate, evaluatorFor } from "./evaluate.ts";

export interface Counts {
  notification_count: number;
  highlight_count: number;
}

export interface Unread {
  readonly main: Counts;
  readonly threads: ReadonlyMap<string, Counts>;
}

/** Counts what is unread. Each event is judged once, by the rules of its time; receipts only choose among them. */
export interface UnreadCounter {
  count(user: User, room: Room): Unread;
  /** Judges all that happened so far. To be called before a user's rules or ignored users change. */
  settle(user: User, rooms: readonly Room[]): void;
}

/** An event that notified a user. */
interface Notice {
  readonly event: StoredEvent;
  readonly highlights: boolean;
}

interface Notices {
  list: Notice[];
  /** Events up to here are judged. */
  upto: number;
}

export function createUnreadCounter(): UnreadCounter {
  const noticesOf = new Map<string, Notices>();
  const evaluators = new Map<string, Evaluate>();
  const evaluatorOf = (user: User) => {
    const evaluate = evaluators.get(user.userId) ?? evaluatorFor(user);
    evaluators.set(user.userId, evaluate);
    return evaluate;
  };
  const judged = (user: User, room: Room, start: number): Notices => {
    const key = `${user.userId} ${room.id}`;
    const notices = noticesOf.get(key) ?? { list: [], upto: start };
    noticesOf.set(key, notices);
    const evaluate = evaluatorOf(user);
    for (const event of room.between(Math.max(notices.upto, start), Number.POSITIVE_INFINITY)) {
      const { notifies, highlights } = evaluate(room, event);
      if (notifies && isToldOf(user, room, event)) notices.list.push({ event, highlights });
    }
    notices.upto = Math.max(notices.upto, room.lastStream);
    return notices;
  };
  return {
    count: (user, room) => {
      const read = readPositions(user, room);
      const notices = judged(user, room, read.start);
      // Receipts never go back, so that what is read now stays read.
      notices.list = notices.list.filter(({ event }) => event.stream > read.start);
      return countUnread(notices.list, read);
    },
    settle: (user, rooms) => {
      for (const room of rooms) judged(user, room, readPositions(user, room).start);
      evaluators.delete(user.userId);
    },
  };
}

function isToldOf(user: User, room: Room, event: StoredEvent): boolean {
  const isMember = membershipOf(room.stateAt(event.stream, "m.room.member", user.userId)) === "join";
  return isMember && event.oddity?.withheld !== true;
}

interface ReadPositions {
  readonly start: number;
  readonly threads: ReadonlyMap<string, number>;
}

/** An unthreaded receipt covers all; without one counting starts at the user's own join. */
function readPositions(user: User, room: Room): ReadPositions {
  const threads = new Map<string, number>();
  let start = -1;
  for (const receipt of room.receipts.values()) {
    if (receipt.userId !== user.userId) continue;
    if (receipt.threadId === undefined) start = Math.max(start, receipt.eventStream);
    else threads.set(receipt.threadId, Math.max(threads.get(receipt.threadId) ?? -1, receipt.eventStream));
  }
  return { start: start >= 0 ? start : (user.memberships.get(room.id)?.event.stream ?? 0), threads };
}

function countUnread(notices: readonly Notice[], read: ReadPositions): Unread {
  const main: Counts = { notification_count: 0, highlight_count: 0 };
  const threads = new Map<string, Counts>();
  for (const { event, highlights } of notices) {
    const thread = threadOf(event);
    const isRead = event.stream <= (read.threads.get(thread ?? "main") ?? -1);
    if (isRead || event.redactedBecause !== undefined) continue;
    const counts = thread === undefined ? main : (threads.get(thread) ?? { notification_count: 0, highlight_count: 0 });
    counts.notification_count += 1;
    counts.highlight_count += highlights ? 1 : 0;
    if (thread !== undefined) threads.set(thread, counts);
  }
  return { main, threads };
}
