import type { ChunkNid, RoomNid, UserNid } from "../model/ids.ts";
import type { RoomWrites } from "../model/room-facts.ts";
import type { ReadEvent, RoomData } from "../model/room-reads.ts";
import { BEFORE_ALL } from "../model/stream-position.ts";
import { Visibility } from "../model/visibility.ts";
import type { Queryable, Tx } from "./database.ts";
import { EVENT_COLUMNS, type EventRow, toStateEvent } from "./event-rows.ts";

const UPSERT = `
  INSERT INTO recalled_departures AS r (user_nid, room, nid, timeline, state, token_before, token_after)
  VALUES ($1, $2, $3, $4::bigint[], $5::bigint[], $6, $7)
  ON CONFLICT (user_nid, room) DO UPDATE
     SET nid = EXCLUDED.nid, timeline = EXCLUDED.timeline, state = EXCLUDED.state,
         token_before = EXCLUDED.token_before, token_after = EXCLUDED.token_after`;

/** Stores rooms as their users left them. */
export async function upsertRecalled(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const all = writes.flatMap(({ room, recalled }) => recalled.map((each) => ({ room, ...each })));
  const upserts = all.map(async ({ userNid, room, nid, timeline, state, tokenBefore, tokenAfter }) => {
    const values = [userNid, room, nid, timeline, state, tokenBefore, tokenAfter];
    await tx.query({ name: "upsert-recalled", text: UPSERT, values });
  });
  await Promise.all(upserts);
}

/** SQL, of a row `m` of memberships: the room is kept as its user left it. */
export const IS_RECALLED = `EXISTS (
  SELECT FROM recalled_departures AS d WHERE d.user_nid = m.user_nid AND d.room = m.room AND d.nid = m.nid)`;

const SELECT = `
  SELECT ${EVENT_COLUMNS}, ${BEFORE_ALL} AS position, p.at, p.is_state, d.token_before, d.token_after
    FROM recalled_departures AS d
    JOIN memberships AS m ON m.user_nid = d.user_nid AND m.room = d.room AND m.nid = d.nid
   CROSS JOIN LATERAL (
         SELECT t.nid, t.at, false AS is_state FROM unnest(d.timeline) WITH ORDINALITY AS t (nid, at)
         UNION ALL
         SELECT s.nid, 0, true FROM unnest(d.state) AS s (nid)) AS p
    JOIN events AS e ON e.nid = p.nid
   WHERE d.user_nid = $1 AND d.room = ANY($2::int[])
   ORDER BY d.room, p.at`;

interface Row extends EventRow {
  readonly at: number;
  readonly is_state: boolean;
  readonly token_before: string | null;
  readonly token_after: string | null;
}

/** Rooms as the reader left them. All was told before any answer: nothing in them is new, whenever it was asked for. */
export async function selectRecalled(
  db: Queryable,
  userNid: UserNid,
  rooms: readonly RoomNid[],
): Promise<ReadonlyMap<RoomNid, Pick<RoomData, "timeline" | "chunks" | "state">>> {
  if (rooms.length === 0) return new Map();
  const rows = await db.query<Row>({ name: "select-recalled", text: SELECT, values: [userNid, rooms] });
  const byRoom = Map.groupBy(rows, ({ room }) => room as RoomNid);
  return new Map([...byRoom].map(([room, own]) => [room, shownOf(own)]));
}

/** What the homeserver shows one reader is one run of events, which that reader may see. */
const ONLY_CHUNK = 0 as ChunkNid;

function shownOf(rows: readonly Row[]): Pick<RoomData, "timeline" | "chunks" | "state"> {
  const events = rows.filter((row) => !row.is_state);
  const timeline = events.map(
    (row, index): ReadEvent => ({
      ...toStateEvent(row),
      stateKey: row.state_key ?? undefined,
      orderKey: row.at,
      chunk: ONLY_CHUNK,
      visibility: Visibility.worldReadable,
      tokenBefore: (index === 0 ? row.token_before : null) ?? undefined,
      tokenAfter: row.token_after ?? undefined,
    }),
  );
  const isStart = timeline[0]?.type === "m.room.create";
  return {
    timeline,
    chunks: new Map([[ONLY_CHUNK, { attestedFor: undefined, continues: false, isStart }]]),
    state: rows.filter((row) => row.is_state).map(toStateEvent),
  };
}
