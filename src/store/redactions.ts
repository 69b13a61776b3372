import type { EventId, EventNid, RoomId } from "../model/ids.ts";
import type { KnownRedaction, StoredText } from "../model/redaction.ts";
import type { RoomWrites } from "../model/room-facts.ts";
import type { Tx } from "./database.ts";
import { ANY_ROOM, type ByRoom, grouped } from "./known-facts.ts";

// Most rooms have no redaction: such a room costs one look into the index, whatever the number of its events. The limit makes
// each event one look more, where the planner would read all events of these ids in all rooms.
const SELECT_REDACTED = `
  WITH known AS MATERIALIZED (
         SELECT r.room, w.n
           FROM unnest($1::text[]) WITH ORDINALITY AS w (room_id, n)
           JOIN rooms AS r USING (room_id)
          WHERE EXISTS (SELECT FROM redactions AS x WHERE x.room = r.room))
  SELECT k.room, x.event_id, x.redaction, e.body
    FROM known AS k
    JOIN unnest($2::int[], $3::text[]) AS w (n, event_id) USING (n)
   CROSS JOIN LATERAL (
         SELECT event_id, redaction FROM redactions WHERE room = k.room AND event_id = w.event_id LIMIT 1) AS x
    LEFT JOIN events AS e ON e.event_id = x.redaction AND e.room = k.room`;

interface RedactedRow {
  readonly room: number;
  readonly event_id: string;
  readonly redaction: string;
  readonly body: Buffer | null;
}

/** Which of these events of rooms are redacted, be they stored or not. */
export async function selectRedacted(
  tx: Tx,
  events: ReadonlyMap<RoomId, ReadonlySet<EventId>>,
): Promise<ByRoom<ReadonlyMap<EventId, KnownRedaction>>> {
  if (events.size === 0) return new Map();
  const values = [
    [...events.keys()],
    // Rooms count from 1.
    [...events.values()].flatMap((ids, index) => Array<number>(ids.size).fill(index + 1)),
    [...events.values()].flatMap((ids) => [...ids]),
  ];
  const rows = await tx.query<RedactedRow>({ name: "redacted", text: SELECT_REDACTED, values });
  return grouped(rows, ({ event_id, redaction, body }) => [
    event_id as EventId,
    { redaction: redaction as EventId | "", body: body ?? undefined },
  ]);
}

// Beside the events themselves: what repeats their content, and what holds a copy of them as its redaction.
const SELECT_TEXTS = `
  WITH wanted AS (
         SELECT nid FROM events WHERE event_id = ANY($1::text[]) AND room = ${ANY_ROOM}
          UNION
         SELECT nid FROM events WHERE previous = ANY($1::text[]) AND room = ${ANY_ROOM}
          UNION
         SELECT e.nid
           FROM redactions AS x
           JOIN events AS e ON e.event_id = x.event_id AND e.room = x.room
          WHERE x.redaction = ANY($1::text[]) AND x.room = ${ANY_ROOM})
  SELECT e.room, e.event_id, e.nid, e.type, e.state_key, e.body, e.unsigned, e.previous, x.redaction,
         EXISTS (SELECT FROM current_state AS s
                  WHERE s.room = e.room AND s.type = e.type AND s.state_key = e.state_key AND s.nid = e.nid) AS is_current
    FROM wanted AS w
    JOIN events AS e USING (nid)
    LEFT JOIN redactions AS x ON x.room = e.room AND x.event_id = e.event_id`;

interface TextRow {
  readonly room: number;
  readonly event_id: string;
  readonly nid: number;
  readonly type: string;
  readonly state_key: string | null;
  readonly body: Buffer;
  readonly unsigned: Buffer | null;
  readonly previous: string | null;
  readonly redaction: string | null;
  readonly is_current: boolean;
}

/** The events that are stored of these, in these rooms, and those that repeat something of them. */
export async function selectTexts(
  tx: Tx,
  rooms: readonly RoomId[],
  eventIds: readonly EventId[],
): Promise<ByRoom<ReadonlyMap<EventId, StoredText>>> {
  if (eventIds.length === 0) return new Map();
  const rows = await tx.query<TextRow>({ name: "texts", text: SELECT_TEXTS, values: [eventIds, rooms] });
  return grouped(rows, (row) => [
    row.event_id as EventId,
    {
      nid: row.nid as EventNid,
      isCurrent: row.is_current,
      type: row.type,
      stateKey: row.state_key ?? undefined,
      body: row.body,
      unsigned: row.unsigned ?? undefined,
      previous: (row.previous ?? undefined) as EventId | undefined,
      redaction: (row.redaction ?? undefined) as EventId | "" | undefined,
    },
  ]);
}

const INSERT_REDACTIONS = `
  INSERT INTO redactions (room, event_id, redaction)
  SELECT * FROM unnest($1::int[], $2::text[], $3::text[])
  ON CONFLICT (room, event_id) DO NOTHING`;

const REWRITE_EVENTS = `
  UPDATE events AS e
     SET body = substring($1::bytea FROM w.body_at FOR w.body_length),
         unsigned = CASE WHEN w.unsigned_length > 0
                         THEN substring($1::bytea FROM w.body_at + w.body_length FOR w.unsigned_length) END
    FROM unnest($2::bigint[], $3::int[], $4::int[], $5::int[]) AS w (nid, body_at, body_length, unsigned_length)
   WHERE e.nid = w.nid`;

// A change of no value: who asks what changed is told the redacted one. What is current keeps the time at which it became so.
const INSERT_DELTAS = `
  INSERT INTO state_deltas (batch, room, type, state_key, nid, prev_nid)
  SELECT d.batch, d.room, d.type, d.state_key, d.nid, d.nid
    FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::bigint[]) AS d (batch, room, type, state_key, nid)`;

/** Stores what is redacted, and the redacted form of events that are stored. */
export async function writeRedactions(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const redactions = writes.flatMap(({ room, redactions: list }) => list.map((item) => ({ room, ...item })));
  if (redactions.length === 0 && writes.every(({ rewritten }) => rewritten.size === 0)) return;
  const state = writes.flatMap(({ room, redactedState }) => redactedState.map((item) => ({ room, ...item })));
  const ids = [
    redactions.map(({ room }) => room),
    redactions.map(({ eventId }) => eventId),
    redactions.map(({ redaction }) => redaction),
  ];
  const deltas = [
    state.map(({ batch }) => batch),
    state.map(({ room }) => room),
    state.map(({ type }) => type),
    state.map(({ stateKey }) => stateKey),
    state.map(({ nid }) => nid),
  ];
  await Promise.all([
    redactions.length > 0 && tx.query({ name: "insert-redactions", text: INSERT_REDACTIONS, values: ids }),
    rewriteEvents(tx, writes),
    state.length > 0 && tx.query({ name: "insert-redacted-state", text: INSERT_DELTAS, values: deltas }),
  ]);
}

/** Bodies go as one binary parameter that is cut up by the server. */
async function rewriteEvents(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const events = writes.flatMap(({ rewritten }) => [...rewritten]);
  if (events.length === 0) return;
  let at = 1; // substring counts from 1
  const offsets = events.map(([, { body, unsigned }]) => {
    const offset = at;
    at += body.length + (unsigned?.length ?? 0);
    return offset;
  });
  const values = [
    Buffer.concat(events.flatMap(([, { body, unsigned }]) => (unsigned === undefined ? [body] : [body, unsigned]))),
    events.map(([nid]) => nid),
    offsets,
    events.map(([, { body }]) => body.length),
    events.map(([, { unsigned }]) => unsigned?.length ?? 0),
  ];
  await tx.query({ name: "rewrite-events", text: REWRITE_EVENTS, values });
}
