import { ChangeStream } from "../model/change.ts";
import type { RoomNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Database } from "./database.ts";
import { drawBatches, publishChanges } from "./publish.ts";
import { TYPING_SECONDS } from "./user-facts.ts";

/** Rooms in one transaction. More: it holds their locks longer. */
const MAX_ROOMS = 500;

const IS_OVER = `t.heard_at < now() - interval '${TYPING_SECONDS} seconds' AND t.user_ids <> '{}'`;

// The room is locked as by whoever stores what a stream says of typing. One that is locked gets news, or its turn later.
const LOCK = `
  SELECT r.room FROM typing AS t JOIN rooms AS r USING (room)
   WHERE ${IS_OVER} ORDER BY t.heard_at LIMIT ${MAX_ROOMS} FOR NO KEY UPDATE OF r SKIP LOCKED`;

const END = `
  UPDATE typing AS t SET user_ids = '{}', batch = w.batch
    FROM unnest($1::int[], $2::bigint[]) AS w (room, batch)
   WHERE t.room = w.room AND ${IS_OVER}
  RETURNING t.room, t.batch`;

/**
 * Ends the typing of those of whom nothing was heard for so long that they count as silent, so that clients are told. Returns
 * the position; undefined: there was none. Costs as much as there is to end.
 */
export async function endTyping(db: Database): Promise<StreamPosition | undefined> {
  return await db.transaction(
    async (tx) => {
      const locked = await tx.query<{ room: number }>({ name: "lock-silent-rooms", text: LOCK });
      if (locked.length === 0) return undefined;
      const batches = await drawBatches(tx, locked.length);
      const values = [locked.map(({ room }) => room), batches];
      const ended = await tx.query<{ room: number; batch: number }>({ name: "end-typing", text: END, values });
      const changes = ended.map(({ room, batch }) => ({
        batch,
        stream: ChangeStream.typing,
        room: room as RoomNid,
        flags: 0,
      }));
      return (await publishChanges(tx, changes, undefined)).at(-1);
    },
    { lane: "live" },
  );
}
