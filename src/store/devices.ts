import { ChangeStream } from "../model/change.ts";
import type { DeviceId, DeviceNid, UserId, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database, Queryable } from "./database.ts";
import type { DeviceClaim } from "./device-stream.ts";
import { drawBatches, publishChanges } from "./publish.ts";
import { SESSION_LOCK_CLASS } from "./session-lock.ts";
import { NO_WAIT_FOR_DISK } from "./statement.ts";

/** Channel on which a process that serves clients says that a device wants to be polled; the payload is its number. */
export const DEVICES_CHANNEL = "slidecar_devices";

/** How long a poller owns its device without renewing. Longer: a partitioned owner blocks others longer. */
export const LEASE_SECONDS = 15;

/** The owner still holds its session lock: the process lives and reaches the database. */
export const OWNER_LIVES = `EXISTS (
  SELECT FROM pg_locks AS l
   WHERE l.locktype = 'advisory' AND l.objsubid = 2 AND l.granted AND l.classid = ${SESSION_LOCK_CLASS} AND l.objid = d.owner::oid
     AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database()))`;

/** Every process follows it with its next statement; nobody has to be told. */
const IS_DRAINING = "EXISTS (SELECT FROM draining)";

export interface SeenDevice {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  /** The homeserver accepts it now, not only when it was asked some time ago. */
  readonly isTokenFresh: boolean;
  /** Encrypts the token; called only when it is new. */
  readonly sealToken: () => Buffer;
  readonly tokenHash: Buffer;
  readonly forwardedFor: string | undefined;
  readonly userAgent: string | undefined;
}

export interface DeviceStanding {
  readonly userNid: UserNid;
  readonly deviceNid: DeviceNid;
  /** The first sync was stored to its end, or a first window ahead of it. */
  readonly hasData: boolean;
  /** A living process polls it, and has stored what came while nobody did. */
  readonly isPolled: boolean;
  /** No device is polled any more: what is stored is all there is. */
  readonly isDraining: boolean;
}

const STANDING = `d.user_nid, d.device_nid, d.is_synced OR d.has_window AS has_data,
            d.owner IS NOT NULL AND d.lease_until > now() AND d.caught_up_epoch = d.epoch AND ${OWNER_LIVES} AS is_polled,
            ${IS_DRAINING} AS is_draining`;

interface StandingRow {
  readonly user_nid: number;
  readonly device_nid: number;
  readonly has_data: boolean;
  readonly is_polled: boolean;
  readonly is_draining: boolean;
}

// Says nothing that would be missed after a crash of the server: nobody waits for the disk.
const SEE_DEVICE = `
  UPDATE devices AS d SET wanted_at = now(), forwarded_for = $4, user_agent = $5
    FROM users AS u
   WHERE ${NO_WAIT_FOR_DISK} AND u.user_id = $1 AND d.user_nid = u.user_nid AND d.device_id = $2 AND d.token IS NOT NULL AND d.token_hash = $3
  RETURNING ${STANDING}`;

const MEET_DEVICE = `
  WITH known AS (
    INSERT INTO users (user_id) VALUES ($1)
    ON CONFLICT (user_id) DO UPDATE SET user_id = EXCLUDED.user_id
    RETURNING user_nid
  )
  INSERT INTO devices AS d (user_nid, device_id, token, token_hash, forwarded_for, user_agent)
  SELECT user_nid, $2, $3, $4, $5, $6 FROM known
  ON CONFLICT (user_nid, device_id) DO UPDATE
     SET wanted_at = now(), token = EXCLUDED.token, token_hash = EXCLUDED.token_hash,
         forwarded_for = EXCLUDED.forwarded_for, user_agent = EXCLUDED.user_agent
   WHERE $7::bool
  RETURNING ${STANDING}`;

/**
 * Notes that a client of this device is here, with its newest token. undefined: its poller has another token, or was refused
 * this one, so that only a fresh one may take its place.
 */
export async function seeDevice(db: Queryable, device: SeenDevice): Promise<DeviceStanding | undefined> {
  const { userId, deviceId, isTokenFresh, sealToken, tokenHash, forwardedFor = null, userAgent = null } = device;
  const values = [userId, deviceId, tokenHash, forwardedFor, userAgent];
  const [known] = await db.query<StandingRow>({ name: "see-device", text: SEE_DEVICE, values });
  if (known !== undefined) return standingOf(known);
  const [met] = await db.query<StandingRow>({
    name: "meet-device",
    text: MEET_DEVICE,
    values: [userId, deviceId, sealToken(), tokenHash, forwardedFor, userAgent, isTokenFresh],
  });
  return met && standingOf(met);
}

const standingOf = (row: StandingRow): DeviceStanding => ({
  userNid: row.user_nid as UserNid,
  deviceNid: row.device_nid as DeviceNid,
  hasData: row.has_data,
  isPolled: row.is_polled,
  isDraining: row.is_draining,
});

const IS_WANTED = `
  SELECT d.device_nid
    FROM devices AS d
    JOIN users AS u USING (user_nid)
   WHERE u.user_id = $1 AND d.device_id = $2 AND d.token IS NOT NULL
     AND d.wanted_at > now() - $3 * interval '1 millisecond' AND NOT ${IS_DRAINING}`;

/** Whether a device is polled, or will be as soon as a poller has time for it. */
export async function isDeviceWanted(
  db: Queryable,
  { userId, deviceId }: { readonly userId: UserId; readonly deviceId: DeviceId },
  idleAfterMs: number,
): Promise<boolean> {
  const values = [userId, deviceId, idleAfterMs];
  return (await db.query({ name: "is-device-wanted", text: IS_WANTED, values })).length > 0;
}

/** A device that a poller may poll. */
export interface ClaimedDevice extends DeviceClaim {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceId: DeviceId;
  readonly sealedToken: Buffer;
  readonly tokenHash: Buffer;
  readonly since: string | undefined;
  /** All rooms are asked for anew before the stream goes on from `since`, with this timeout in milliseconds. */
  readonly asksAnew: number | undefined;
  readonly forwardedFor: string | undefined;
  readonly userAgent: string | undefined;
  /** The user's stored `m.ignored_user_list` event; undefined: none. */
  readonly ignoredUserList: Buffer | undefined;
  /** Everything at or below it was stored before the claim. */
  readonly head: StreamPosition;
  /** The same for when its first sync was first asked for; undefined: that was never noted. */
  readonly firstAsked: StreamPosition | undefined;
}

// All rooms are asked for anew as one of the user's devices only: the streams of the others go on from before that.
// Of many devices those that another process claims just now are passed over. One that was asked for is waited for: its
// row is locked for a moment with every request of its client, and passing it over would leave it without a poller.
const claimDevicesText = (onLocked: "" | "SKIP LOCKED") => `
  UPDATE devices AS c
     SET owner = $1, epoch = c.epoch + 1, lease_until = now() + ${LEASE_SECONDS} * interval '1 second',
         first_asked = CASE WHEN c.since IS NULL OR c.asks_anew IS NOT NULL
                            THEN coalesce(c.first_asked, (SELECT position FROM stream_head)) END
    FROM (SELECT d.device_nid
            FROM devices AS d
           WHERE d.token IS NOT NULL
             AND NOT ${IS_DRAINING}
             AND d.wanted_at > now() - $2 * interval '1 millisecond'
             AND ($3::int IS NULL OR d.device_nid = $3)
             AND (d.owner IS NULL OR d.lease_until < now() OR NOT ${OWNER_LIVES})
           ORDER BY d.wanted_at DESC
           LIMIT $4
             FOR UPDATE ${onLocked}) AS free
    JOIN devices AS f USING (device_nid)
    JOIN users AS u ON u.user_nid = f.user_nid
    LEFT JOIN account_data AS a ON a.user_nid = f.user_nid AND a.room = 0 AND a.type = 'm.ignored_user_list'
   WHERE c.device_nid = free.device_nid
  RETURNING c.device_nid, c.epoch, c.user_nid, u.user_id, c.device_id, c.token, c.token_hash, c.since, c.forwarded_for,
            CASE WHEN NOT EXISTS (SELECT FROM devices AS s WHERE s.user_nid = c.user_nid AND s.is_synced) THEN c.asks_anew END AS asks_anew,
            c.user_agent, a.body AS ignored, (SELECT position FROM stream_head) AS head, c.first_asked`;

const CLAIM_DEVICES = claimDevicesText("SKIP LOCKED");
const CLAIM_DEVICE = claimDevicesText("");

interface ClaimRow {
  readonly device_nid: number;
  readonly epoch: number;
  readonly user_nid: number;
  readonly user_id: string;
  readonly device_id: string;
  readonly token: Buffer;
  readonly token_hash: Buffer;
  readonly since: string | null;
  readonly asks_anew: number | null;
  readonly forwarded_for: string | null;
  readonly user_agent: string | null;
  readonly ignored: Buffer | null;
  readonly head: number;
  readonly first_asked: number | null;
}

/** Takes over devices that are wanted and that no living process polls; the most recently wanted first. */
export async function claimDevices(
  db: Queryable,
  owner: number,
  options: { readonly idleAfterMs: number; readonly device: DeviceNid | undefined; readonly limit: number },
): Promise<readonly ClaimedDevice[]> {
  const values = [owner, options.idleAfterMs, options.device ?? null, options.limit];
  const rows = await db.query<ClaimRow>(
    options.device === undefined
      ? { name: "claim-devices", text: CLAIM_DEVICES, values }
      : { name: "claim-device", text: CLAIM_DEVICE, values },
  );
  return rows.map((row) => ({
    deviceNid: row.device_nid as DeviceNid,
    epoch: row.epoch,
    userNid: row.user_nid as UserNid,
    userId: row.user_id as UserId,
    deviceId: row.device_id as DeviceId,
    sealedToken: row.token,
    tokenHash: row.token_hash,
    since: row.since ?? undefined,
    asksAnew: row.asks_anew ?? undefined,
    forwardedFor: row.forwarded_for ?? undefined,
    userAgent: row.user_agent ?? undefined,
    ignoredUserList: row.ignored ?? undefined,
    head: row.head as StreamPosition,
    firstAsked: (row.first_asked ?? undefined) as StreamPosition | undefined,
  }));
}

// Rows are locked in the order in which transactions that store responses lock them, lest they wait in a circle.
const OWN_DEVICES = `
  SELECT device_nid FROM devices WHERE owner = $1 AND ($2::int IS NULL OR device_nid = $2)
   ORDER BY device_nid FOR NO KEY UPDATE`;

const RENEW_LEASES = `
  WITH own AS MATERIALIZED (${OWN_DEVICES})
  UPDATE devices AS d SET lease_until = now() + ${LEASE_SECONDS} * interval '1 second'
    FROM own
   WHERE d.device_nid = own.device_nid
  RETURNING d.device_nid, d.epoch, d.token, d.token_hash, d.wanted_at < now() - $3 * interval '1 millisecond' OR ${IS_DRAINING} AS is_idle`;

/** What a renewal found out about a device of ours. */
export interface RenewedLease extends DeviceClaim {
  /** undefined: the homeserver refused it. */
  readonly sealedToken: Buffer | undefined;
  readonly tokenHash: Buffer | undefined;
  /** No client asked for it for `idleAfterMs`, or no device is to be polled. */
  readonly isIdle: boolean;
}

/** Renews leases of a process: of one device, or of all. A device that is missing was lost to another owner. */
export async function renewLeases(
  db: Queryable,
  owner: number,
  options: { readonly idleAfterMs: number; readonly device: DeviceNid | undefined },
): Promise<readonly RenewedLease[]> {
  const rows = await db.query<{
    device_nid: number;
    epoch: number;
    token: Buffer | null;
    token_hash: Buffer | null;
    is_idle: boolean;
  }>({ name: "renew-leases", text: RENEW_LEASES, values: [owner, options.device, options.idleAfterMs] });
  return rows.map((row) => ({
    deviceNid: row.device_nid as DeviceNid,
    epoch: row.epoch,
    sealedToken: row.token ?? undefined,
    tokenHash: row.token_hash ?? undefined,
    isIdle: row.is_idle,
  }));
}

const RELEASE = `UPDATE devices SET owner = NULL, lease_until = NULL WHERE device_nid = $1 AND epoch = $2`;

/** Gives a device back, so that another poller can take it at once. */
export async function releaseDevice(db: Queryable, claim: DeviceClaim): Promise<void> {
  await db.query({ name: "release-device", text: RELEASE, values: [claim.deviceNid, claim.epoch] });
}

const REFUSE_TOKEN = `UPDATE devices SET token = NULL WHERE device_nid = $1 AND token_hash = $2 RETURNING device_nid`;

/** The homeserver refused this token. A newer one of the same device stays. Returns where those find it who serve the device. */
export async function refuseToken(
  db: Database,
  { userNid, deviceNid }: Pick<ClaimedDevice, "userNid" | "deviceNid">,
  tokenHash: Buffer,
): Promise<StreamPosition | undefined> {
  return await db.transaction(
    async (tx) => {
      const refusal = { name: "refuse-token", text: REFUSE_TOKEN, values: [deviceNid, tokenHash] };
      if ((await tx.query(refusal)).length === 0) return undefined;
      const [batch = 0] = await drawBatches(tx, 1);
      const change = { batch, stream: ChangeStream.refused, userNid, deviceNid, flags: 0 };
      return (await publishChanges(tx, [change], undefined)).at(-1);
    },
    { lane: "live" },
  );
}

const RELEASE_ALL = `
  WITH own AS MATERIALIZED (${OWN_DEVICES})
  UPDATE devices AS d SET owner = NULL, lease_until = NULL FROM own WHERE d.device_nid = own.device_nid`;

/** Gives everything back that a process owns. */
export async function releaseAll(db: Queryable, owner: number): Promise<void> {
  await db.query({ name: "release-all-devices", text: RELEASE_ALL, values: [owner, null] });
}
