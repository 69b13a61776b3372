import { ChangeStream } from "../model/change.ts";
import type { DeviceNid, RoomId, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database, Queryable, Tx } from "./database.ts";
import type { DeviceClaim } from "./device-stream.ts";
import { drawBatches, publishChanges } from "./publish.ts";

const ANNOUNCE = `
  UPDATE users SET announced_joined = $2 WHERE user_nid = $1 AND announced_joined IS DISTINCT FROM $2 RETURNING user_nid`;

/** Says how many rooms a user is in, before they are stored. Returns the position; undefined: it was known. */
export async function announceJoined(
  db: Database,
  userNid: UserNid,
  joined: number,
): Promise<StreamPosition | undefined> {
  return await db.transaction(
    async (tx) => {
      const rows = await tx.query({ name: "announce-joined", text: ANNOUNCE, values: [userNid, joined] });
      const [batch] = await drawBatches(tx, rows.length);
      if (batch === undefined) return undefined;
      return (await publishChanges(tx, [{ batch, stream: ChangeStream.membership, userNid, flags: 0 }], undefined))[0];
    },
    { lane: "live" },
  );
}

const FORGET_ANNOUNCED = `UPDATE users SET announced_joined = NULL WHERE user_nid = $1 AND announced_joined IS NOT NULL`;

/** From now on the stored memberships say which rooms the user is in. */
export async function forgetAnnounced(tx: Tx, userNid: UserNid): Promise<void> {
  await tx.query({ name: "forget-announced", text: FORGET_ANNOUNCED, values: [userNid] });
}

const SELECT_NEWEST = `
  SELECT r.room_id
    FROM rooms AS r LEFT JOIN changes AS c ON c.batch = r.activity_batch
   WHERE r.room_id = ANY($1::text[]) AND r.is_complete
   ORDER BY coalesce(c.position, r.activity_us) DESC
   LIMIT $2`;

/** Of these rooms the ones with the newest activity, as far as others brought them; the newest first. */
export async function selectNewestRooms(
  db: Queryable,
  roomIds: readonly RoomId[],
  limit: number,
): Promise<readonly RoomId[]> {
  const rows = await db.query<{ room_id: string }>({
    name: "newest-rooms",
    text: SELECT_NEWEST,
    values: [roomIds, limit],
  });
  return rows.map(({ room_id }) => room_id as RoomId);
}

const MARK_WINDOW = `
  UPDATE devices SET has_window = true WHERE device_nid = $1 AND epoch = $2 AND NOT is_synced RETURNING user_nid`;

/** The device's first window is stored. Returns the position; undefined: the device was synced, or has another owner. */
export async function markWindow(db: Database, claim: DeviceClaim): Promise<StreamPosition | undefined> {
  return await db.transaction(
    async (tx) => {
      const { deviceNid, epoch } = claim;
      const rows = await tx.query<{ user_nid: number }>({
        name: "mark-window",
        text: MARK_WINDOW,
        values: [deviceNid, epoch],
      });
      const [batch] = await drawBatches(tx, rows.length);
      const [row] = rows;
      if (batch === undefined || row === undefined) return undefined;
      const change = { batch, stream: ChangeStream.window, userNid: row.user_nid as UserNid, deviceNid, flags: 0 };
      return (await publishChanges(tx, [change], undefined))[0];
    },
    { lane: "live" },
  );
}

const HAS_ANSWER = `
  SELECT FROM devices WHERE device_nid = $1 AND (is_synced OR has_window)
   UNION ALL
  SELECT FROM memberships AS m JOIN rooms AS r USING (room)
   WHERE m.user_nid = $2 AND (r.is_complete OR m.membership IN (${Membership.invite}, ${Membership.knock}))
     AND r.quarantined IS NULL
   LIMIT 1`;

/** Whether a device can be answered: it has its data, or there is any room that its user can be shown. */
export async function hasAnswer(
  db: Queryable,
  { userNid, deviceNid }: { readonly userNid: UserNid; readonly deviceNid: DeviceNid },
): Promise<boolean> {
  return (await db.query({ name: "has-answer", text: HAS_ANSWER, values: [deviceNid, userNid] })).length > 0;
}
