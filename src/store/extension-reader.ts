import type {
  DeviceListChange,
  DeviceListReads,
  ExtensionData,
  ExtensionReads,
  ToDeviceMessage,
  ToDeviceReads,
} from "../model/extension-reads.ts";
import type { DeviceNid, UserId, UserNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";
import { selectAccountData, selectReceipts, selectTyping } from "./room-stream-selects.ts";

/** For whom extensions are read. */
export interface ExtensionReader {
  readonly userNid: UserNid;
  readonly userId: UserId;
  readonly deviceNid: DeviceNid;
  /** Facts above it are not read. */
  readonly to: StreamPosition;
}

/** Reads what the extensions of one answer need: a query for each kind that is wanted. */
export async function readExtensions(
  db: Queryable,
  { userNid, userId, deviceNid, to }: ExtensionReader,
  reads: ExtensionReads,
): Promise<ExtensionData> {
  const [toDevice, deviceLists, accountData, receipts, typing] = await Promise.all([
    reads.toDevice === undefined ? [] : selectToDevice(db, deviceNid, reads.toDevice),
    reads.deviceLists === undefined ? [] : selectDeviceLists(db, deviceNid, reads.deviceLists, to),
    reads.accountData === undefined ? [] : selectAccountData(db, userNid, reads.accountData, to),
    reads.receipts === undefined ? [] : selectReceipts(db, userId, reads.receipts, to),
    reads.typing === undefined ? [] : selectTyping(db, reads.typing, to),
  ]);
  return { toDevice, deviceLists, accountData, receipts, typing };
}

const SELECT_TO_DEVICE = `
  SELECT sequence, body FROM to_device_messages
   WHERE device_nid = $1 AND sequence > $2 ORDER BY sequence LIMIT $3`;

async function selectToDevice(
  db: Queryable,
  device: DeviceNid,
  { after, limit }: ToDeviceReads,
): Promise<readonly ToDeviceMessage[]> {
  return await db.query<{ sequence: number; body: Buffer }>({
    name: "select-to-device",
    text: SELECT_TO_DEVICE,
    values: [device, after, limit],
  });
}

const SELECT_DEVICE_LISTS = `
  SELECT l.user_id, l.has_left
    FROM changes AS c JOIN device_list_log AS l ON l.device_nid = c.device_nid AND l.batch = c.batch
   WHERE c.device_nid = $1 AND c.stream = 7 AND c.position > $2 AND c.position <= $3
   ORDER BY c.position`;

async function selectDeviceLists(
  db: Queryable,
  device: DeviceNid,
  { after }: DeviceListReads,
  to: StreamPosition,
): Promise<readonly DeviceListChange[]> {
  const rows = await db.query<{ user_id: string; has_left: boolean }>({
    name: "select-device-lists",
    text: SELECT_DEVICE_LISTS,
    values: [device, after, to],
  });
  return rows.map((row) => ({ userId: row.user_id as UserId, hasLeft: row.has_left }));
}
