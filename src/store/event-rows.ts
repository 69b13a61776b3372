import type { ChunkNid, EventId, EventNid, UserId } from "../model/ids.ts";
import type { ReadEvent } from "../model/room-reads.ts";
import type { Chunk, StateEvent } from "../model/stored-event.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Visibility } from "../model/visibility.ts";

/** Columns of an event `e`; `position` is added by each statement. */
export const EVENT_COLUMNS = `e.room, e.nid, e.event_id, e.type, e.state_key, e.sender, e.origin_server_ts, e.body,
  e.unsigned`;

export interface EventRow {
  readonly room: number;
  readonly nid: number;
  readonly event_id: string;
  readonly type: string;
  readonly state_key: string | null;
  readonly sender: string;
  readonly origin_server_ts: number;
  readonly body: Buffer;
  readonly unsigned: Buffer | null;
  readonly position: number;
}

export interface TimelineRow extends EventRow {
  readonly order_key: number;
  readonly chunk: number;
  readonly visibility: number;
  readonly attested_for: number | null;
  readonly continues: boolean;
  readonly is_start: boolean;
  readonly token_before: string | null;
  readonly token_after: string | null;
}

const storedEvent = (row: EventRow) => ({
  nid: row.nid as EventNid,
  eventId: row.event_id as EventId,
  type: row.type,
  sender: row.sender as UserId,
  originServerTsMs: row.origin_server_ts,
  position: row.position as StreamPosition,
  body: row.body,
  unsigned: row.unsigned ?? undefined,
});

export const toReadEvent = (row: TimelineRow): ReadEvent => ({
  ...storedEvent(row),
  stateKey: row.state_key ?? undefined,
  orderKey: row.order_key,
  chunk: row.chunk as ChunkNid,
  visibility: row.visibility as Visibility,
  tokenBefore: row.token_before ?? undefined,
  tokenAfter: row.token_after ?? undefined,
});

/** The chunks of timeline rows. */
export const chunksOf = (rows: readonly TimelineRow[]): ReadonlyMap<ChunkNid, Chunk> =>
  new Map(
    rows.map((row) => [
      row.chunk as ChunkNid,
      { attestedFor: row.attested_for ?? undefined, continues: row.continues, isStart: row.is_start },
    ]),
  );

export const toStateEvent = (row: EventRow): StateEvent => ({ ...storedEvent(row), stateKey: row.state_key ?? "" });
