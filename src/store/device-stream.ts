import type { DeviceNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Tx } from "./database.ts";

/** The poller that writes is no longer the one that owns the device: nothing of this transaction may be kept. */
export class FencedError extends Error {
  override readonly name = "FencedError";
}

/** A poller's claim on a device: every write of its stream carries it. */
export interface DeviceClaim {
  readonly deviceNid: DeviceNid;
  /** Fencing token: a device that changed its owner has a larger one. */
  readonly epoch: number;
}

const ADVANCE_SINCE = `
  UPDATE devices
     SET since = $3, is_synced = true,
         one_time_keys = coalesce($5, one_time_keys), fallback_keys = coalesce($6, fallback_keys),
         keys_batch = CASE WHEN one_time_keys IS DISTINCT FROM coalesce($5, one_time_keys)
                             OR fallback_keys IS DISTINCT FROM coalesce($6, fallback_keys)
                           THEN $7 ELSE keys_batch END
   WHERE device_nid = $1 AND epoch = $2 AND since IS NOT DISTINCT FROM $4
  RETURNING keys_batch IS NOT DISTINCT FROM $7 AS has_new_keys, (SELECT position FROM stream_head) AS head`;

/** Where a device's v2 stream goes on, and what of the device came with it. */
export interface Advance {
  readonly claim: DeviceClaim;
  readonly from: string | undefined;
  readonly to: string;
  /** Raw JSON, as are the fallback keys; undefined: as before. */
  readonly oneTimeKeys: Buffer | undefined;
  readonly fallbackKeys: Buffer | undefined;
  /** Of the keys, should they be new. */
  readonly keysBatch: number;
}

export interface Advanced {
  readonly hasNewKeys: boolean;
  /** Everything at or below it was stored before. */
  readonly head: StreamPosition;
}

/**
 * Moves a device's v2 stream on, in the transaction that stores what the stream brought. Throws {@link FencedError} when
 * another poller owns the device, or moved it already.
 */
export async function advanceSince(tx: Tx, advance: Advance): Promise<Advanced> {
  const { claim, from, to, oneTimeKeys, fallbackKeys, keysBatch } = advance;
  const values = [claim.deviceNid, claim.epoch, to, from, oneTimeKeys, fallbackKeys, keysBatch];
  const [row] = await tx.query<{ has_new_keys: boolean; head: number }>({
    name: "advance-since",
    text: ADVANCE_SINCE,
    values,
  });
  if (row === undefined) throw new FencedError(`device ${claim.deviceNid} is polled by another process, or went on`);
  return { hasNewKeys: row.has_new_keys, head: row.head as StreamPosition };
}

const CHECK_CLAIM = `SELECT device_nid FROM devices WHERE device_nid = $1 AND epoch = $2`;

/**
 * Throws {@link FencedError} when the claim is gone. To be called when the rooms are locked that will be written: whoever
 * owns the device next writes them later.
 */
export async function checkClaim(tx: Tx, claim: DeviceClaim): Promise<void> {
  const rows = await tx.query({ name: "check-claim", text: CHECK_CLAIM, values: [claim.deviceNid, claim.epoch] });
  if (rows.length === 0) throw new FencedError(`device ${claim.deviceNid} is polled by another process`);
}

const APPEND_TO_DEVICE = `
  WITH head AS (
    INSERT INTO to_device_heads AS h (device_nid, sequence)
    VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2)
    ON CONFLICT (device_nid) DO UPDATE SET sequence = GREATEST(h.sequence + $2, EXCLUDED.sequence)
    RETURNING sequence
  )
  INSERT INTO to_device_messages (device_nid, sequence, body, batch)
  SELECT $1, head.sequence - $2 + m.n, substring($3::bytea FROM m.body_at FOR m.body_length), $4
    FROM head, unnest($5::int[], $6::int[]) WITH ORDINALITY AS m (body_at, body_length, n)`;

/** Appends to-device messages in order; their sequence goes on above everything ever issued to the device. */
export async function appendToDevice(
  tx: Tx,
  deviceNid: DeviceNid,
  messages: readonly Buffer[],
  batch: number,
): Promise<void> {
  if (messages.length === 0) return;
  let at = 1; // substring counts from 1
  const offsets = messages.map((message) => {
    at += message.length;
    return at - message.length;
  });
  const lengths = messages.map(({ length }) => length);
  const values = [deviceNid, messages.length, Buffer.concat(messages), batch, offsets, lengths];
  await tx.query({ name: "append-to-device", text: APPEND_TO_DEVICE, values });
}

const INSERT_DEVICE_LISTS = `
  INSERT INTO device_list_log (device_nid, batch, user_id, has_left)
  SELECT $1, $2, l.user_id, l.has_left FROM unnest($3::text[], $4::bool[]) AS l (user_id, has_left)`;

/** Logs whose devices changed, and who is no longer followed. A user in both counts as changed. */
export async function appendDeviceLists(
  tx: Tx,
  deviceNid: DeviceNid,
  lists: { readonly changed: readonly string[]; readonly left: readonly string[] },
  batch: number,
): Promise<void> {
  const hasLeft = new Map([
    ...lists.left.map((user) => [user, true] as const),
    ...lists.changed.map((u) => [u, false] as const),
  ]);
  if (hasLeft.size === 0) return;
  const values = [deviceNid, batch, [...hasLeft.keys()], [...hasLeft.values()]];
  await tx.query({ name: "insert-device-lists", text: INSERT_DEVICE_LISTS, values });
}
