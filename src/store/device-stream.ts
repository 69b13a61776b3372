import type { DeviceNid } from "../model/ids.ts";
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
  UPDATE devices SET since = $3, is_synced = true
   WHERE device_nid = $1 AND epoch = $2 AND since IS NOT DISTINCT FROM $4
  RETURNING device_nid`;

/**
 * Moves a device's v2 stream on, in the transaction that stores what the stream brought. Throws {@link FencedError} when
 * another poller owns the device, or moved it already.
 */
export async function advanceSince(
  tx: Tx,
  claim: DeviceClaim,
  since: { readonly from: string | undefined; readonly to: string },
): Promise<void> {
  const values = [claim.deviceNid, claim.epoch, since.to, since.from ?? null];
  const rows = await tx.query({ name: "advance-since", text: ADVANCE_SINCE, values });
  if (rows.length === 0) throw new FencedError(`device ${claim.deviceNid} is polled by another process`);
}

const CHECK_CLAIM = `SELECT device_nid FROM devices WHERE device_nid = $1 AND epoch = $2 FOR KEY SHARE`;

/** Holds the claim until the end of the transaction. Throws {@link FencedError} when it is gone. */
export async function checkClaim(tx: Tx, claim: DeviceClaim): Promise<void> {
  const rows = await tx.query({ name: "check-claim", text: CHECK_CLAIM, values: [claim.deviceNid, claim.epoch] });
  if (rows.length === 0) throw new FencedError(`device ${claim.deviceNid} is polled by another process`);
}

const NEXT_SEQUENCES = `
  INSERT INTO to_device_heads AS h (device_nid, sequence)
  VALUES ($1, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint + $2)
  ON CONFLICT (device_nid) DO UPDATE SET sequence = GREATEST(h.sequence + $2, EXCLUDED.sequence)
  RETURNING sequence`;

const INSERT_TO_DEVICE = `
  INSERT INTO to_device_messages (device_nid, sequence, body, batch)
  SELECT $1, $2::bigint + m.n, substring($3::bytea FROM m.body_at FOR m.body_length), $4
    FROM unnest($5::int[], $6::int[]) WITH ORDINALITY AS m (body_at, body_length, n)`;

/** Appends to-device messages in order; their sequence goes on above everything ever issued to the device. */
export async function appendToDevice(
  tx: Tx,
  deviceNid: DeviceNid,
  messages: readonly Buffer[],
  batch: number,
): Promise<void> {
  if (messages.length === 0) return;
  const [head] = await tx.query<{ sequence: number }>({
    name: "next-to-device",
    text: NEXT_SEQUENCES,
    values: [deviceNid, messages.length],
  });
  let at = 1;
  const offsets = messages.map((message) => {
    at += message.length;
    return at - message.length;
  });
  const before = (head?.sequence ?? 0) - messages.length;
  const values = [deviceNid, before, Buffer.concat(messages), batch, offsets, messages.map(({ length }) => length)];
  await tx.query({ name: "insert-to-device", text: INSERT_TO_DEVICE, values });
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

const UPDATE_KEYS = `
  UPDATE devices
     SET one_time_keys = coalesce($2, one_time_keys), fallback_keys = coalesce($3, fallback_keys), keys_batch = $4
   WHERE device_nid = $1
     AND (one_time_keys IS DISTINCT FROM coalesce($2, one_time_keys)
          OR fallback_keys IS DISTINCT FROM coalesce($3, fallback_keys))
  RETURNING device_nid`;

/** Stores key counts and unused fallback key types as raw JSON. False: they are as they were. */
export async function updateKeys(
  tx: Tx,
  deviceNid: DeviceNid,
  keys: { readonly oneTimeKeys: Buffer | undefined; readonly fallbackKeys: Buffer | undefined },
  batch: number,
): Promise<boolean> {
  if (keys.oneTimeKeys === undefined && keys.fallbackKeys === undefined) return false;
  const values = [deviceNid, keys.oneTimeKeys ?? null, keys.fallbackKeys ?? null, batch];
  return (await tx.query({ name: "update-keys", text: UPDATE_KEYS, values })).length > 0;
}
