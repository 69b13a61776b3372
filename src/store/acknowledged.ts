import { type Clock, microseconds } from "../lib/clock.ts";
import { ChangeStream } from "../model/change.ts";
import type { DeviceNid, UserNid } from "../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";
import type { Database, Queryable } from "./database.ts";
import { lockDevices } from "./device-stream.ts";
import { drawBatches, publishChanges } from "./publish.ts";
import { NO_WAIT_FOR_DISK } from "./statement.ts";

// What is lost with a crash of the server comes once more with the client's next request, which says the same again.
const DELETE_TO_DEVICE = `
  WITH head AS (
    SELECT device_nid, sequence, acknowledged
      FROM to_device_heads WHERE device_nid = $1 AND ${NO_WAIT_FOR_DISK} FOR NO KEY UPDATE
  ), gone AS (
    DELETE FROM to_device_messages AS m USING head AS h WHERE m.device_nid = h.device_nid AND m.sequence <= $2
    RETURNING m.sequence
  ), noted AS (
    UPDATE to_device_heads AS n SET acknowledged = $2 FROM head AS h
     WHERE n.device_nid = h.device_nid AND h.acknowledged < $2
  )
  SELECT greatest(h.acknowledged, (SELECT max(sequence) FROM gone)) AS known,
         coalesce((SELECT min(sequence) FROM to_device_messages WHERE device_nid = $1 AND sequence > $2), h.sequence) AS next
    FROM head AS h
   WHERE h.acknowledged BETWEEN 1 AND $2 - 1 AND h.sequence > $2 AND NOT EXISTS (SELECT FROM gone WHERE sequence = $2)`;

/** Sequences between which none was issued that is known here. */
interface Hole {
  readonly after: number;
  readonly before: number;
}

/**
 * Removes messages that the client has. Returns where the last of these should be when it was not issued here: an older database
 * came back, and messages have been stored since.
 */
export async function deleteToDevice(db: Queryable, device: DeviceNid, upTo: number): Promise<Hole | undefined> {
  const values = [device, upTo];
  const [row] = await db.query<{ known: number; next: number }>({
    name: "delete-to-device",
    text: DELETE_TO_DEVICE,
    values,
  });
  return row && { after: row.known, before: row.next };
}

const RENUMBER = `
  WITH head AS (
    SELECT device_nid, sequence FROM to_device_heads WHERE device_nid = $1 AND sequence < $2 FOR NO KEY UPDATE
  ), renumbered AS (
    SELECT m.sequence AS before, $2 + row_number() OVER (ORDER BY m.sequence) AS after
      FROM to_device_messages AS m JOIN head AS h ON h.device_nid = m.device_nid
  ), moved AS (
    UPDATE to_device_messages AS m SET sequence = r.after FROM renumbered AS r
     WHERE m.device_nid = $1 AND m.sequence = r.before
  )
  UPDATE to_device_heads AS h SET sequence = $2 + (SELECT count(*) FROM renumbered), acknowledged = $2
    FROM head WHERE h.device_nid = head.device_nid
  RETURNING head.sequence AS before`;

/**
 * Moves all messages of a device above a sequence that its client has and that was never issued here: an older database came back.
 * So nothing counts as acknowledged that the client may not have. Returns the highest sequence that was issued before, undefined
 * where the sequence is none of these.
 */
export async function renumberToDevice(
  db: Database,
  { userNid, deviceNid }: { readonly userNid: UserNid; readonly deviceNid: DeviceNid },
  above: number,
): Promise<number | undefined> {
  return await db.transaction(
    async (tx) => {
      // The poller appends under this lock as well. A statement that waited for it itself would not see what was appended meanwhile.
      await lockDevices(tx, [deviceNid]);
      const values = [deviceNid, above];
      const [row] = await tx.query<{ before: number }>({ name: "renumber-to-device", text: RENUMBER, values });
      if (row === undefined) return undefined;
      const [batch = 0] = await drawBatches(tx, 1);
      await publishChanges(tx, [{ batch, stream: ChangeStream.toDevice, userNid, deviceNid, flags: 0 }], undefined);
      return row.before;
    },
    { lane: "live" },
  );
}

const NOTE_LISTS = `
  UPDATE devices SET lists_told = $2
   WHERE device_nid = $1 AND lists_told < $2 AND ${NO_WAIT_FOR_DISK}`;

/** The client has all changes of device lists up to a position. */
export async function noteListsTold(db: Queryable, device: DeviceNid, upTo: StreamPosition): Promise<void> {
  await db.query({ name: "note-lists-told", text: NOTE_LISTS, values: [device, upTo] });
}

/** How long changes of device lists are kept that a client has: as long as a connection lives that may lack them. */
const LISTS_KEPT_US = 30 * 24 * 3_600_000_000;

/** Later changes of device lists are kept. Positions are times. */
export const listsKeptFrom = (clock: Clock): StreamPosition => (microseconds(clock) - LISTS_KEPT_US) as StreamPosition;

const EXPIRE_LISTS = `
  WITH expired AS (
    UPDATE devices SET lists_floor = least(lists_told, $1)
     WHERE lists_floor < least(lists_told, $1)
    RETURNING device_nid, lists_floor
  )
  DELETE FROM device_list_log AS l USING expired AS e, changes AS c
   WHERE c.device_nid = e.device_nid AND c.stream = ${ChangeStream.deviceLists} AND c.position <= e.lists_floor
     AND l.device_nid = c.device_nid AND l.batch = c.batch`;

/** Removes changes of device lists up to a position, of devices whose client has them. */
export async function expireDeviceLists(db: Queryable, upTo: StreamPosition): Promise<void> {
  await db.query({ name: "expire-device-lists", text: EXPIRE_LISTS, values: [upTo] });
}

/** Changes of a device's lists up to it are no longer logged. */
export async function selectListsFloor(db: Queryable, device: DeviceNid): Promise<StreamPosition> {
  const text = "SELECT lists_floor FROM devices WHERE device_nid = $1";
  const [row] = await db.query<{ lists_floor: number }>({ name: "lists-floor", text, values: [device] });
  return (row?.lists_floor ?? BEFORE_ALL) as StreamPosition;
}
