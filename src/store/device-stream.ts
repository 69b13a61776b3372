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

const LOCK_DEVICES = `
  SELECT device_nid, epoch, since, one_time_keys, fallback_keys, (SELECT position FROM stream_head) AS head
    FROM devices WHERE device_nid = ANY($1::int[]) ORDER BY device_nid FOR NO KEY UPDATE`;

interface DeviceSqlRow {
  readonly device_nid: number;
  readonly epoch: number;
  readonly since: string | null;
  readonly one_time_keys: Buffer | null;
  readonly fallback_keys: Buffer | null;
  readonly head: number;
}

/** Where a device's v2 stream stands, and what is the device's own. */
export interface DeviceRow {
  readonly epoch: number;
  readonly since: string | undefined;
  /** Raw JSON, as are the fallback keys. */
  readonly oneTimeKeys: Buffer | undefined;
  readonly fallbackKeys: Buffer | undefined;
  /** Everything at or below it was stored before. */
  readonly head: StreamPosition;
}

/**
 * Locks devices until the transaction ends, in one order everywhere, and after the rooms: nobody takes a device from its
 * poller between the reading and the writing.
 */
export async function lockDevices(tx: Tx, devices: readonly DeviceNid[]): Promise<ReadonlyMap<DeviceNid, DeviceRow>> {
  if (devices.length === 0) return new Map();
  const rows = await tx.query<DeviceSqlRow>({ name: "lock-devices", text: LOCK_DEVICES, values: [devices] });
  return new Map(
    rows.map((row) => [
      row.device_nid as DeviceNid,
      {
        epoch: row.epoch,
        since: row.since ?? undefined,
        oneTimeKeys: row.one_time_keys ?? undefined,
        fallbackKeys: row.fallback_keys ?? undefined,
        head: row.head as StreamPosition,
      },
    ]),
  );
}

const ADVANCE_SINCE = `
  UPDATE devices AS d
     SET since = a.since, is_synced = true, caught_up_epoch = d.epoch, asks_anew = NULL,
         one_time_keys = coalesce(a.one_time_keys, d.one_time_keys),
         fallback_keys = coalesce(a.fallback_keys, d.fallback_keys),
         keys_batch = coalesce(a.keys_batch, d.keys_batch)
    FROM (VALUES ($1::int, $2::text, $3::bytea, $4::bytea, $5::bigint))
         AS a (device_nid, since, one_time_keys, fallback_keys, keys_batch)
   WHERE d.device_nid = a.device_nid`;

/** Where a device's v2 stream goes on, and what of the device came with it. */
export interface Advance {
  readonly deviceNid: DeviceNid;
  readonly to: string;
  /** Raw JSON, as are the fallback keys; undefined: as before. */
  readonly oneTimeKeys: Buffer | undefined;
  readonly fallbackKeys: Buffer | undefined;
  /** Of the keys; undefined: they are as they were. */
  readonly keysBatch: number | undefined;
}

/** Moves the v2 stream of a locked device on, in the transaction that stores what the stream brought. */
export async function advanceSince(tx: Tx, advance: Advance): Promise<void> {
  const { deviceNid, to, oneTimeKeys, fallbackKeys, keysBatch } = advance;
  const values = [deviceNid, to, oneTimeKeys, fallbackKeys, keysBatch];
  await tx.query({ name: "advance-since", text: ADVANCE_SINCE, values });
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
