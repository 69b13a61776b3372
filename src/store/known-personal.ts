import type { RoomId, RoomNid, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Tx } from "./database.ts";
import { GLOBAL, TYPING_SECONDS } from "./user-facts.ts";

const LOCK_USERS = `
  SELECT user_nid FROM users WHERE user_nid = ANY($1::int[]) ORDER BY user_nid FOR NO KEY UPDATE`;

/** Locks users until the transaction ends: nobody else changes their global account data. */
export async function lockUsers(tx: Tx, users: readonly UserNid[]): Promise<void> {
  if (users.length > 0) await tx.query({ name: "lock-users", text: LOCK_USERS, values: [users] });
}

/** What of account data is stored for a key. */
export interface KnownAccountDatum {
  /** SHA-256 of the event. */
  readonly digest: Buffer;
  readonly position: StreamPosition;
}

export interface AccountDataKey {
  readonly userNid: UserNid;
  /** undefined: global. */
  readonly roomId: RoomId | undefined;
  readonly type: string;
}

export const accountDataKey = (userNid: UserNid, room: RoomNid, type: string): string => `${userNid}/${room}/${type}`;

// The limits keep the planner from reading all that a user or a room has, whatever it thinks of the lengths of the lists.
const SELECT_ACCOUNT_DATA = `
  SELECT a.user_nid, a.room, a.type, sha256(a.body) AS digest, coalesce(c.position, 0) AS position
    FROM unnest($1::int[], $2::text[], $3::text[]) AS w (user_nid, room_id, type)
   CROSS JOIN LATERAL (
         SELECT * FROM account_data AS k
          WHERE k.user_nid = w.user_nid AND k.type = w.type
            AND k.room = CASE WHEN w.room_id IS NULL THEN ${GLOBAL}
                              ELSE (SELECT r.room FROM rooms AS r WHERE r.room_id = w.room_id) END
          LIMIT 1) AS a
    LEFT JOIN changes AS c USING (batch)`;

/** Stored account data, by {@link accountDataKey}. */
export async function selectKnownAccountData(
  tx: Tx,
  keys: readonly AccountDataKey[],
): Promise<ReadonlyMap<string, KnownAccountDatum>> {
  if (keys.length === 0) return new Map();
  const rows = await tx.query<{ user_nid: number; room: number; type: string; digest: Buffer; position: number }>({
    name: "known-account-data",
    text: SELECT_ACCOUNT_DATA,
    values: [keys.map(({ userNid }) => userNid), keys.map(({ roomId }) => roomId), keys.map(({ type }) => type)],
  });
  return new Map(
    rows.map(({ user_nid, room, type, digest, position }) => [
      accountDataKey(user_nid as UserNid, room as RoomNid, type),
      { digest, position: position as StreamPosition },
    ]),
  );
}

export interface ReceiptKey {
  readonly userId: string;
  readonly receiptType: string;
  /** `""`: unthreaded. */
  readonly threadId: string;
}

export const receiptKey = (room: RoomNid, { userId, receiptType, threadId }: ReceiptKey): string =>
  JSON.stringify([room, userId, receiptType, threadId]);

const SELECT_RECEIPTS = `
  SELECT k.room, k.user_id, k.receipt_type, k.thread_id, k.ts
    FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS w (room_id, user_id, receipt_type, thread_id)
   CROSS JOIN LATERAL (
         SELECT * FROM receipts AS r
          WHERE r.room = (SELECT room FROM rooms WHERE rooms.room_id = w.room_id) AND r.user_id = w.user_id
            AND r.receipt_type = w.receipt_type AND r.thread_id = w.thread_id
          LIMIT 1) AS k`;

interface ReceiptRow {
  readonly room: number;
  readonly user_id: string;
  readonly receipt_type: string;
  readonly thread_id: string;
  readonly ts: number;
}

/** Times of stored receipts in milliseconds, by {@link receiptKey}. */
export async function selectKnownReceipts(
  tx: Tx,
  keys: readonly (ReceiptKey & { readonly roomId: RoomId })[],
): Promise<ReadonlyMap<string, number>> {
  if (keys.length === 0) return new Map();
  const rows = await tx.query<ReceiptRow>({
    name: "known-receipts",
    text: SELECT_RECEIPTS,
    values: [
      keys.map(({ roomId }) => roomId),
      keys.map(({ userId }) => userId),
      keys.map(({ receiptType }) => receiptType),
      keys.map(({ threadId }) => threadId),
    ],
  });
  return new Map(
    rows.map(({ room, user_id: userId, receipt_type: receiptType, thread_id: threadId, ts }) => [
      receiptKey(room as RoomNid, { userId, receiptType, threadId }),
      ts,
    ]),
  );
}

/** A stored typing list. */
export interface KnownTyping {
  /** Sorted. */
  readonly userIds: readonly string[];
  /** It was not heard of for longer than it holds: nobody counts as typing. */
  readonly isOver: boolean;
}

const SELECT_TYPING = `
  SELECT t.room, t.user_ids, t.heard_at < now() - interval '${TYPING_SECONDS} seconds' AS is_over
    FROM typing AS t JOIN rooms AS r USING (room)
   WHERE r.room_id = ANY($1::text[])`;

/** Who types as far as it is stored, by room. */
export async function selectKnownTyping(
  tx: Tx,
  roomIds: readonly RoomId[],
): Promise<ReadonlyMap<RoomNid, KnownTyping>> {
  if (roomIds.length === 0) return new Map();
  const rows = await tx.query<{ room: number; user_ids: string[]; is_over: boolean }>({
    name: "known-typing",
    text: SELECT_TYPING,
    values: [roomIds],
  });
  return new Map(rows.map(({ room, user_ids: userIds, is_over: isOver }) => [room as RoomNid, { userIds, isOver }]));
}
