import { ChangeStream } from "../../model/change.ts";
import type { RoomId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { Tx } from "../../store/database.ts";
import { advanceSince, appendDeviceLists, appendToDevice, checkClaim, updateKeys } from "../../store/device-stream.ts";
import { updatePersonal, upsertMemberships } from "../../store/membership-writes.ts";
import { type NewChange, publishChanges } from "../../store/publish.ts";
import { insertResponseTokens } from "../../store/response-tokens.ts";
import { insertEvents, insertTimelines, writeState } from "../../store/room-facts.ts";
import { updateRooms } from "../../store/room-rows.ts";
import { GLOBAL, upsertAccountData, upsertReceipts, upsertTyping } from "../../store/user-facts.ts";
import { type FoldedSection, foldSection } from "./fold-sections.ts";
import type { ResponsePart } from "./part.ts";
import { accountDataOf, ephemeralOf } from "./personal-facts.ts";
import { readDrafts } from "./read-before.ts";
import type { Numbers, RoomDraft } from "./room-draft.ts";

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
}

/**
 * Stores parts of v2 responses in one transaction: bodies first, positions last. The caller has reserved the numbers
 * that {@link numbersNeeded} tells.
 */
export async function storeParts(tx: Tx, parts: readonly ResponsePart[], context: StoreContext): Promise<StoredParts> {
  for (const { claim, end } of parts) if (end === undefined) await checkClaim(tx, claim);
  const drafts = await readDrafts(tx, parts, context.numbers);
  const changes: NewChange[] = [];
  for (const part of parts) changes.push(...(await storeRooms(tx, part, drafts, context)));
  await writeDrafts(tx, [...drafts.values()], changes);
  for (const part of parts) changes.push(...(await storeEnd(tx, part, context)));
  const receivedUs = parts.reduce<number | undefined>((last, part) => part.receivedUs ?? last, undefined);
  const positions = changes.length === 0 ? [] : await publishChanges(tx, changes, receivedUs, context.onLock);
  const events = [...drafts.values()].flatMap(({ writes }) => writes.events);
  const timelineEvents = events.filter(({ orderKey }) => orderKey !== undefined).length;
  return { timelineEvents, stateEvents: events.length - timelineEvents, position: positions.at(-1) };
}

/** How many numbers of each kind {@link storeParts} may take. */
export function numbersNeeded(parts: readonly ResponsePart[]): { batches: number; events: number; chunks: number } {
  let events = 0;
  let batches = 0;
  let chunks = 0;
  for (const { sections } of parts) {
    for (const section of sections) {
      const own = section.state.length + section.timeline.length;
      events += own;
      // The room, own membership, counts, account data, receipts, typing, and a departure per member event at most.
      batches += 6 + own;
      chunks += 1;
    }
    batches += 5;
  }
  return { batches, events, chunks };
}

/** Folds the rooms of one part, oldest activity first, and stores what belongs to the user or is short-lived. */
async function storeRooms(
  tx: Tx,
  part: ResponsePart,
  drafts: ReadonlyMap<RoomId, RoomDraft>,
  { numbers }: StoreContext,
): Promise<readonly NewChange[]> {
  const folded: FoldedSection[] = [];
  const shared = part.end === undefined ? numbers.batch() : undefined;
  for (const section of part.sections) {
    const draft = drafts.get(section.roomId);
    if (draft !== undefined) folded.push(foldSection(draft, section, part.source, numbers, shared));
  }
  folded.sort((a, b) => a.newestTsMs - b.newestTsMs);
  const batches = folded.flatMap(({ roomBatch }) => (roomBatch === undefined ? [] : [roomBatch]));
  if (part.token !== undefined) await insertResponseTokens(tx, batches, part.token);
  const changes = folded.flatMap((section) => section.changes);
  if (shared !== undefined) {
    changes.push({ batch: shared, stream: ChangeStream.membership, userNid: part.source.userNid, flags: 0 });
  }
  return [...changes, ...(await storePersonal(tx, part, drafts, numbers))];
}

async function storePersonal(
  tx: Tx,
  part: ResponsePart,
  drafts: ReadonlyMap<RoomId, RoomDraft>,
  numbers: Numbers,
): Promise<readonly NewChange[]> {
  const { userNid } = part.source;
  const offered = part.sections.flatMap(({ roomId, accountData, ephemeral }) => {
    const room = drafts.get(roomId)?.row.room;
    if (room === undefined) return [];
    const facts = ephemeralOf(room, ephemeral);
    const batches = { data: numbers.batch(), receipts: numbers.batch(), typing: numbers.batch() };
    return [
      {
        room,
        batches,
        data: accountDataOf(userNid, room, accountData, batches.data),
        receipts: facts.receipts.map((receipt) => ({ ...receipt, batch: batches.receipts })),
        typing: facts.typing === undefined ? [] : [{ ...facts.typing, batch: batches.typing }],
      },
    ];
  });
  const news = new Set([
    ...(await upsertAccountData(
      tx,
      offered.flatMap(({ data }) => data),
    )),
    ...(await upsertReceipts(
      tx,
      offered.flatMap(({ receipts }) => receipts),
    )),
    ...(await upsertTyping(
      tx,
      offered.flatMap(({ typing }) => typing),
    )),
  ]);
  return offered
    .flatMap(({ room, batches }): NewChange[] => [
      { batch: batches.data, stream: ChangeStream.accountData, room, userNid, flags: 0 },
      { batch: batches.receipts, stream: ChangeStream.receipts, room, flags: 0 },
      { batch: batches.typing, stream: ChangeStream.typing, room, flags: 0 },
    ])
    .filter(({ batch }) => news.has(batch));
}

/** Writes what the drafts collected. A room's newest batch is the last one published for it. */
async function writeDrafts(tx: Tx, drafts: readonly RoomDraft[], changes: readonly NewChange[]): Promise<void> {
  const writes = drafts.map((draft) => draft.writes);
  await insertEvents(tx, writes);
  await insertTimelines(tx, writes);
  await writeState(tx, writes);
  await upsertMemberships(tx, writes);
  await updatePersonal(tx, writes);
  const lastBatch = new Map(
    changes.flatMap(({ stream, room, batch }) =>
      stream === ChangeStream.room && room !== undefined ? [[room, batch]] : [],
    ),
  );
  const updates = drafts.flatMap(({ row, activity, bump }) => {
    const batch = lastBatch.get(row.room);
    return batch === undefined ? [] : [{ row, activity, bump, lastBatch: batch }];
  });
  await updateRooms(tx, updates);
}

/** Stores what ends a response, and moves the stream on. Runs in the transaction that stores the last rooms. */
async function storeEnd(
  tx: Tx,
  { claim, source, end }: ResponsePart,
  { numbers }: StoreContext,
): Promise<readonly NewChange[]> {
  if (end === undefined) return [];
  const { rest } = end;
  const { userNid } = source;
  const { deviceNid } = claim;
  await advanceSince(tx, claim, end.since);
  const changes: NewChange[] = [];
  const data = numbers.batch();
  const changed = await upsertAccountData(tx, accountDataOf(userNid, GLOBAL, rest.accountData, data));
  if (changed.size > 0) changes.push({ batch: data, stream: ChangeStream.accountData, userNid, flags: 0 });
  if (rest.toDevice.length > 0) {
    const batch = numbers.batch();
    await appendToDevice(tx, deviceNid, rest.toDevice, batch);
    changes.push({ batch, stream: ChangeStream.toDevice, userNid, deviceNid, flags: 0 });
  }
  if (rest.deviceLists.changed.length + rest.deviceLists.left.length > 0) {
    const batch = numbers.batch();
    await appendDeviceLists(tx, deviceNid, rest.deviceLists, batch);
    changes.push({ batch, stream: ChangeStream.deviceLists, userNid, deviceNid, flags: 0 });
  }
  const keys = numbers.batch();
  if (await updateKeys(tx, deviceNid, rest, keys)) {
    changes.push({ batch: keys, stream: ChangeStream.keys, userNid, deviceNid, flags: 0 });
  }
  if (end.isCatchUp) {
    changes.push({ batch: numbers.batch(), stream: ChangeStream.synced, userNid, deviceNid, flags: 0 });
  }
  return changes;
}
