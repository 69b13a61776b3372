import type { Change, ChangeStream } from "../model/change.ts";
import type { DeviceNid, RoomNid, UserNid } from "../model/ids.ts";
import { type StreamPosition, streamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";

const SELECT_HEAD = `SELECT position FROM stream_head`;

/** Every fact at or below this position is visible to later reads. */
export async function selectHead(db: Queryable): Promise<StreamPosition> {
  const [row] = await db.query<{ position: number }>({ name: "select-head", text: SELECT_HEAD });
  return streamPosition(row?.position ?? 0);
}

const SELECT_CHANGES = `
  SELECT position, batch, stream, room, rooms, user_nid, device_nid, flags, received_us
    FROM changes WHERE position > $1 ORDER BY position LIMIT $2`;

interface Row {
  readonly position: number;
  readonly batch: number;
  readonly stream: number;
  readonly room: number | null;
  readonly rooms: readonly number[] | null;
  readonly user_nid: number | null;
  readonly device_nid: number | null;
  readonly flags: number;
  readonly received_us: number | null;
}

/** What was published after a position, in order; at most `limit`. */
export async function selectChanges(db: Queryable, after: StreamPosition, limit: number): Promise<readonly Change[]> {
  const rows = await db.query<Row>({ name: "select-changes", text: SELECT_CHANGES, values: [after, limit] });
  return rows.map((row) => ({
    position: row.position as StreamPosition,
    batch: row.batch,
    stream: row.stream as ChangeStream,
    room: (row.room ?? undefined) as RoomNid | undefined,
    rooms: (row.rooms ?? undefined) as readonly RoomNid[] | undefined,
    userNid: (row.user_nid ?? undefined) as UserNid | undefined,
    deviceNid: (row.device_nid ?? undefined) as DeviceNid | undefined,
    flags: row.flags,
    receivedUs: row.received_us ?? undefined,
  }));
}
