import type { Queryable } from "./database.ts";
import { OWNER_LIVES } from "./devices.ts";

/** From now on no device is polled, by whatever process: those that poll notice within seconds. */
export async function beginDraining(db: Queryable): Promise<void> {
  await db.query({ text: "INSERT INTO draining DEFAULT VALUES ON CONFLICT DO NOTHING" });
}

export async function isDraining(db: Queryable): Promise<boolean> {
  return (await db.query({ text: "SELECT FROM draining" })).length > 0;
}

/** Devices are polled again. False: they were before. */
export async function endDraining(db: Queryable): Promise<boolean> {
  return (await db.query({ text: "DELETE FROM draining RETURNING since" })).length > 0;
}

/** To-device messages of a device that its client has not acknowledged. */
export interface LeftMessages {
  readonly userId: string;
  readonly deviceId: string;
  readonly messages: number;
  /** When a client of it was last here. */
  readonly wantedAt: Date;
  /** The homeserver refused its token: it may be logged out. */
  readonly isRefused: boolean;
}

export interface Drained {
  /** Devices that are polled still. */
  readonly polled: number;
  /** The fewest first: what is small is done soon. */
  readonly left: readonly LeftMessages[];
}

const POLLED = `SELECT count(*)::int AS polled FROM devices AS d WHERE d.owner IS NOT NULL AND d.lease_until > now() AND ${OWNER_LIVES}`;

const LEFT = `
  SELECT u.user_id, d.device_id, m.messages, d.wanted_at, d.token IS NULL AS is_refused
    FROM (SELECT device_nid, count(*)::int AS messages FROM to_device_messages GROUP BY device_nid) AS m
    JOIN devices AS d USING (device_nid) JOIN users AS u USING (user_nid)
   ORDER BY m.messages, u.user_id, d.device_id`;

/** How far it has come. Who polls is looked at first: what a last poll stores is counted. */
export async function selectDrained(db: Queryable): Promise<Drained> {
  const [row] = await db.query<{ polled: number }>({ text: POLLED });
  const rows = await db.query<{
    user_id: string;
    device_id: string;
    messages: number;
    wanted_at: Date;
    is_refused: boolean;
  }>({ text: LEFT });
  const left = rows.map((each) => ({
    userId: each.user_id,
    deviceId: each.device_id,
    messages: each.messages,
    wantedAt: each.wanted_at,
    isRefused: each.is_refused,
  }));
  return { polled: row?.polled ?? 0, left };
}
