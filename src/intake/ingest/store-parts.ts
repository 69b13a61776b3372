import { ChangeStream } from "../../model/change.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import type { Tx } from "../../store/database.ts";
import { updatePersonal, upsertMemberships } from "../../store/membership-writes.ts";
import { type NewChange, publishChanges } from "../../store/publish.ts";
import { insertResponseTokens } from "../../store/response-tokens.ts";
import {
  insertBatchTokens,
  insertEvents,
  insertTransactionIds,
  placeEvents,
  writeChunks,
  writeState,
} from "../../store/room-facts.ts";
import { updateRooms } from "../../store/room-rows.ts";
import { upsertAccountData, upsertReceipts, upsertTyping } from "../../store/user-facts.ts";
import { foldParts } from "./fold-parts.ts";
import type { ResponsePart } from "./part.ts";
import { readDrafts } from "./read-before.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";
import { storeEnd } from "./store-end.ts";

export interface StoreContext {
  readonly numbers: Numbers;
  /** Seconds from asking for the position lock to the end of its statement. */
  readonly onLock?: (seconds: number) => void;
}

export interface StoredParts {
  readonly timelineEvents: number;
  readonly stateEvents: number;
  /** The highest position given out; undefined: nothing was news. */
  readonly position: StreamPosition | undefined;
  /** When this is stored, so is everything at or below it. */
  readonly head: StreamPosition;
}

/**
 * Stores parts of v2 responses in one transaction, in five round trips: locks, reads, all writes, positions, commit. The
 * caller has reserved the numbers that {@link numbersNeeded} tells.
 */
export async function storeParts(tx: Tx, parts: readonly ResponsePart[], context: StoreContext): Promise<StoredParts> {
  const { numbers, onLock } = context;
  const drafts = await readDrafts(tx, parts, numbers);
  const folded = foldParts(parts, drafts, numbers);
  // Device rows come in one order everywhere, so that writers never wait for each other in a circle.
  const byDevice = parts.toSorted((a, b) => a.claim.deviceNid - b.claim.deviceNid);
  const [accountData, receipts, typing, , , ends] = await Promise.all([
    upsertAccountData(tx, folded.accountData),
    upsertReceipts(tx, folded.receipts),
    upsertTyping(tx, folded.typing),
    insertResponseTokens(tx, folded.tokens),
    writeDrafts(tx, [...drafts.values()], folded.changes),
    Promise.all(byDevice.map((part) => storeEnd(tx, part, numbers))),
  ]);
  const news = new Set([...accountData, ...receipts, ...typing]);
  const changes = [
    ...folded.changes,
    ...folded.offered.filter(({ batch }) => news.has(batch)),
    ...ends.flatMap((end) => end.changes),
  ];
  const receivedUs = parts.findLast((part) => part.receivedUs !== undefined)?.receivedUs;
  const position = (await publishChanges(tx, changes, receivedUs, onLock)).at(-1);
  const head = Math.max(position ?? BEFORE_ALL, ...ends.map((end) => end.head)) as StreamPosition;
  const events = [...drafts.values()].flatMap(({ writes }) => writes.events);
  const timelineEvents = events.filter(({ orderKey }) => orderKey !== undefined).length;
  return { timelineEvents, stateEvents: events.length - timelineEvents, position, head };
}

/** How many numbers of each kind {@link storeParts} may take. */
export function numbersNeeded(parts: readonly ResponsePart[]): { batches: number; events: number; chunks: number } {
  const sections = parts.flatMap((part) => part.sections);
  const events = sections.reduce((sum, { state, timeline }) => sum + state.length + timeline.length, 0);
  return {
    // Of a section: the room, the user's own, account data, receipts, typing, and a departure per member event at most.
    // Of a part: one shared by its sections, global account data, to-device messages, device lists, keys, the sync itself.
    batches: 5 * sections.length + events + 6 * parts.length,
    events,
    chunks: sections.length,
  };
}

/** Writes what the drafts collected, all statements at once. A room's newest batch is the last one published for it. */
async function writeDrafts(tx: Tx, drafts: readonly RoomDraft[], changes: readonly NewChange[]): Promise<void> {
  const writes = drafts.map((draft) => draft.writes);
  const lastBatch = new Map(
    changes.flatMap(({ stream, room, batch }) =>
      stream === ChangeStream.room && room !== undefined ? [[room, batch]] : [],
    ),
  );
  const updates = drafts.flatMap(({ row, activity, bump }) => {
    const batch = lastBatch.get(row.room);
    return batch === undefined ? [] : [{ row, activity, bump, lastBatch: batch }];
  });
  await Promise.all([
    insertEvents(tx, writes),
    // After the events: one may have been new as state and got its place with a later section.
    placeEvents(tx, writes),
    writeChunks(tx, writes),
    insertBatchTokens(tx, writes),
    insertTransactionIds(tx, writes),
    writeState(tx, writes),
    upsertMemberships(tx, writes),
    // After the memberships, whose rows it changes.
    updatePersonal(tx, writes),
    updateRooms(tx, updates),
  ]);
}
