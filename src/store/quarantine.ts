import { ChangeFlag, ChangeStream } from "../model/change.ts";
import type { RoomId, RoomNid } from "../model/ids.ts";
import type { Database } from "./database.ts";
import { drawBatches, publishChanges } from "./publish.ts";

// What could not be stored is missing from the timeline: what comes next begins a chunk.
const QUARANTINE = `
  WITH hole AS (
    INSERT INTO chunks (chunk, room, continues)
    SELECT nextval('chunk_nids'), room, false FROM rooms WHERE room_id = $1 AND last_chunk IS NOT NULL
    RETURNING chunk
  )
  INSERT INTO rooms AS r (room_id, quarantined) VALUES ($1, $2)
  ON CONFLICT (room_id) DO UPDATE
     SET quarantined = EXCLUDED.quarantined, last_chunk = coalesce((SELECT chunk FROM hole), r.last_chunk)
  RETURNING room`;

/** Sets a room aside: it leaves all lists until it can be stored whole. */
export async function quarantineRoom(db: Database, roomId: RoomId, reason: string): Promise<void> {
  await db.transaction(
    async (tx) => {
      const [row] = await tx.query<{ room: number }>({ text: QUARANTINE, values: [roomId, reason] });
      const [batch] = await drawBatches(tx, 1);
      if (row === undefined || batch === undefined) return;
      const room = row.room as RoomNid;
      const flags = ChangeFlag.columns | ChangeFlag.history;
      await publishChanges(tx, [{ batch, stream: ChangeStream.room, room, flags }], undefined);
    },
    { lane: "live" },
  );
}
