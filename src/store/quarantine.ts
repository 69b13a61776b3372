import { ChangeFlag, ChangeStream } from "../model/change.ts";
import type { RoomId, RoomNid } from "../model/ids.ts";
import type { Database } from "./database.ts";
import { drawBatches, publishChanges } from "./publish.ts";

const QUARANTINE = `
  INSERT INTO rooms (room_id, quarantined, last_batch) VALUES ($1, $2, $3)
  ON CONFLICT (room_id) DO UPDATE SET quarantined = EXCLUDED.quarantined, last_batch = EXCLUDED.last_batch
  RETURNING room`;

/** Sets a room aside: it leaves all lists until it can be stored whole. */
export async function quarantineRoom(db: Database, roomId: RoomId, reason: string): Promise<void> {
  await db.transaction(
    async (tx) => {
      const [batch] = await drawBatches(tx, 1);
      const [row] = await tx.query<{ room: number }>({ text: QUARANTINE, values: [roomId, reason, batch] });
      if (row === undefined || batch === undefined) return;
      const room = row.room as RoomNid;
      await publishChanges(tx, [{ batch, stream: ChangeStream.room, room, flags: ChangeFlag.columns }], undefined);
    },
    { lane: "live" },
  );
}
