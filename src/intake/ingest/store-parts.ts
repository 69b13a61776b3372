import { ChangeStream } from "../../model/change.ts";
import { BEFORE_ALL, type StreamPosition } from "../../model/stream-position.ts";
import { upsertContests } from "../../store/contests.ts";
import type { Tx } from "../../store/database.ts";
import { updatePersonal, upsertMemberships } from "../../store/membership-writes.ts";
import { type NewChange, publishChanges } from "../../store/publish.ts";
import { upsertRecalled } from "../../store/recalled-departures.ts";
import { writeRedactions } from "../../store/redactions.ts";
import { insertResponseTokens } from "../../store/response-tokens.ts";
import {
  insertBatchTokens,
  insertEvents,
  insertTransactionIds,
  moveEvents,
  placeEvents,
  writeChunks,
  writeState,
} from "../../store/room-facts.ts";
import { updateRooms } from "../../store/room-rows.ts";
import type { Ending } from "../../store/transaction.ts";
import { upsertAccountData, upsertReceipts, upsertTyping } from "../../store/user-facts.ts";
import type { OpenQuestion } from "./contest.ts";
import { isKept, rowOf } from "./contest-rows.ts";
import { foldParts } from "./fold-parts.ts";
import type { ResponsePart } from "./part.ts";
import { readBefore } from "./read-before.ts";
import type { RoomDraft } from "./room-draft.ts";
import type { Numbers } from "./source.ts";
import { storeEnd } from "./store-end.ts";

export interface StoreContext {
  readonly numbers: Numbers;
  readonly reserve: () => Promise<void>;
  /** Seconds from asking for the position lock to the end of its statement. */
  readonly onLock?: (seconds: number) => void;
}

export interface StoredParts {
  readonly timelineEvents: number;
  readonly stateEvents: number;
  /** The highest position given out; undefined: nothing was news. */
  readonly position: StreamPosition | undefined;
  /** What the homeserver has to be asked now that this is stored. */
  readonly contests: readonly OpenQuestion[];
  /** When this is stored, so is everything at or below it. */
  readonly head: StreamPosition;
}

/**
 * Stores parts of v2 responses in one transaction, in two round trips: locks and reads, then writes and positions, with which
 * COMMIT goes. `reserve` makes sure of the numbers that {@link numbersNeeded} tells.
 */
export async function storeParts(
  tx: Tx,
  parts: readonly ResponsePart[],
  { numbers, reserve, onLock }: StoreContext,
): Promise<Ending<StoredParts>> {
  const [before] = await Promise.all([readBefore(tx, parts, numbers), reserve()]);
  const { changes, tokens } = foldParts(parts, before, numbers);
  const drafts = [...before.rooms.values()];
  const { accountData, receipts, typing } = before.personal.writes;
  const contests = [...drafts.flatMap((draft) => draft.contests), ...before.personal.contests, ...before.leftOut];
  const ends = parts.map((part) => storeEnd(tx, part, before.devices.get(part.claim.deviceNid), numbers));
  const written = [
    ...ends.map((end) => end.written),
    upsertAccountData(tx, accountData),
    upsertReceipts(tx, receipts),
    upsertTyping(tx, typing),
    insertResponseTokens(tx, tokens),
    writeDrafts(tx, drafts, changes),
    upsertContests(tx, contests.filter(isKept).map(rowOf)),
  ];
  const receivedUs = parts.findLast((part) => part.receivedUs !== undefined)?.receivedUs;
  const all = [...changes, ...ends.flatMap((end) => end.changes)];
  const publishing = publishChanges(tx, all, receivedUs, onLock);
  const events = drafts.flatMap(({ writes }) => writes.events);
  const timelineEvents = events.filter(({ orderKey }) => orderKey !== undefined).length;
  const heads = [...before.devices.values()].map(({ head }) => head);
  const stored = async (): Promise<StoredParts> => {
    const [positions] = await Promise.all([publishing, ...written]);
    const position = positions.at(-1);
    const head = Math.max(position ?? BEFORE_ALL, ...heads) as StreamPosition;
    return { timelineEvents, stateEvents: events.length - timelineEvents, position, head, contests };
  };
  return { last: stored() };
}

/** How many numbers of each kind {@link storeParts} may take. */
export function numbersNeeded(parts: readonly ResponsePart[]): { batches: number; events: number; chunks: number } {
  const sections = parts.flatMap((part) => part.sections);
  const asked = parts.reduce((sum, part) => sum + (part.asked?.length ?? 0), 0);
  const events = sections.reduce((sum, { state, timeline }) => sum + state.length + timeline.length, 0);
  return {
    // Of a section: the room, the user's own, account data, receipts, typing, and a departure per member event at most.
    // Of what was asked for: account data. Of a part: one shared by its sections, what its user sent, global account data,
    // to-device messages, device lists, keys, the sync itself and its end.
    batches: 5 * sections.length + events + 8 * parts.length + asked,
    events,
    // Of a section: one per event that stands by itself at most, a hole at the end, one for what is known, one for what follows.
    chunks: 3 * sections.length + events,
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
    writeRedactions(tx, writes),
    // After the events: one may have been new as state and got its place with a later section.
    placeEvents(tx, writes),
    writeChunks(tx, writes),
    // After the chunks and the places, which the same transaction may have given.
    moveEvents(tx, writes),
    insertBatchTokens(tx, writes),
    insertTransactionIds(tx, writes),
    writeState(tx, writes),
    upsertMemberships(tx, writes),
    upsertRecalled(tx, writes),
    // After the memberships, whose rows it changes.
    updatePersonal(tx, writes),
    updateRooms(tx, updates),
  ]);
}
