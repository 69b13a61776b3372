import type { RoomNid, UserNid } from "../model/ids.ts";
import type { Tx } from "./database.ts";

/** `room` of account data that belongs to no room. */
export const GLOBAL = 0 as RoomNid;

export interface AccountDatum {
  readonly userNid: UserNid;
  /** {@link GLOBAL} or a room. */
  readonly room: RoomNid;
  readonly type: string;
  /** The whole event as raw JSON. */
  readonly body: Buffer;
  readonly batch: number;
}

const UPSERT_ACCOUNT_DATA = `
  INSERT INTO account_data (user_nid, room, type, body, batch)
  SELECT d.user_nid, d.room, d.type, substring($1::bytea FROM d.body_at FOR d.body_length), d.batch
    FROM unnest($2::int[], $3::int[], $4::text[], $5::int[], $6::int[], $7::bigint[])
         AS d (user_nid, room, type, body_at, body_length, batch)
   ORDER BY d.user_nid, d.room, d.type
  ON CONFLICT (user_nid, room, type) DO UPDATE SET body = EXCLUDED.body, batch = EXCLUDED.batch`;

/** Stores account data, one value for a key. */
export async function upsertAccountData(tx: Tx, data: readonly AccountDatum[]): Promise<void> {
  if (data.length === 0) return;
  let at = 1;
  const offsets = data.map(({ body }) => {
    at += body.length;
    return at - body.length;
  });
  const values = [
    Buffer.concat(data.map(({ body }) => body)),
    data.map(({ userNid }) => userNid),
    data.map(({ room }) => room),
    data.map(({ type }) => type),
    offsets,
    data.map(({ body }) => body.length),
    data.map(({ batch }) => batch),
  ];
  await tx.query({ name: "upsert-account-data", text: UPSERT_ACCOUNT_DATA, values });
}

export interface Receipt {
  readonly room: RoomNid;
  readonly userId: string;
  readonly receiptType: string;
  /** `""`: unthreaded. */
  readonly threadId: string;
  readonly eventId: string;
  readonly tsMs: number;
  readonly batch: number;
}

const UPSERT_RECEIPTS = `
  INSERT INTO receipts AS r (room, user_id, receipt_type, thread_id, event_id, ts, batch)
  SELECT n.*
    FROM unnest($1::int[], $2::text[], $3::text[], $4::text[], $5::text[], $6::bigint[], $7::bigint[])
         AS n (room, user_id, receipt_type, thread_id, event_id, ts, batch)
   ORDER BY n.room, n.user_id, n.receipt_type, n.thread_id
  ON CONFLICT (room, user_id, receipt_type, thread_id) DO UPDATE
     SET event_id = EXCLUDED.event_id, ts = EXCLUDED.ts, batch = EXCLUDED.batch
   WHERE r.ts < EXCLUDED.ts`;

/** Stores receipts, one for a key; they only move forward in time. */
export async function upsertReceipts(tx: Tx, receipts: readonly Receipt[]): Promise<void> {
  if (receipts.length === 0) return;
  const values = [
    receipts.map(({ room }) => room),
    receipts.map(({ userId }) => userId),
    receipts.map(({ receiptType }) => receiptType),
    receipts.map(({ threadId }) => threadId),
    receipts.map(({ eventId }) => eventId),
    receipts.map(({ tsMs }) => tsMs),
    receipts.map(({ batch }) => batch),
  ];
  await tx.query({ name: "upsert-receipts", text: UPSERT_RECEIPTS, values });
}

export interface Typing {
  readonly room: RoomNid;
  /** Sorted. */
  readonly userIds: readonly string[];
  /** {@link SAME_TYPING}: as it is stored. */
  readonly batch: number;
}

/**
 * How long somebody counts as typing after it was last heard. Longer: who was typing when their homeserver went away types on.
 * Shorter: who types on is taken for silent between two words of it.
 */
export const TYPING_SECONDS = 45;

/** A typing list that goes on: it is only heard again, and has the batch that it was published with. */
export const SAME_TYPING = 0;

const UPSERT_TYPING = `
  INSERT INTO typing AS t (room, user_ids, heard_at, batch)
  SELECT n.room, ARRAY(SELECT jsonb_array_elements_text(n.user_ids::jsonb)), now(), n.batch
    FROM unnest($1::int[], $2::text[], $3::bigint[]) AS n (room, user_ids, batch)
   ORDER BY n.room
  ON CONFLICT (room) DO UPDATE
     SET heard_at = EXCLUDED.heard_at,
         batch = CASE WHEN EXCLUDED.batch = ${SAME_TYPING} THEN t.batch ELSE EXCLUDED.batch END,
         user_ids = EXCLUDED.user_ids`;

/** Stores who types, one list for a room; who typed before goes on being heard. */
export async function upsertTyping(tx: Tx, typing: readonly Typing[]): Promise<void> {
  if (typing.length === 0) return;
  const values = [
    typing.map(({ room }) => room),
    typing.map(({ userIds }) => JSON.stringify(userIds)),
    typing.map(({ batch }) => batch),
  ];
  await tx.query({ name: "upsert-typing", text: UPSERT_TYPING, values });
}
