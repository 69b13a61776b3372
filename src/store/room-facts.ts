import type { RoomWrites } from "../model/room-facts.ts";
import type { Tx } from "./database.ts";

// Bodies go as one binary parameter that is cut up by the server: an array of byteas would cross the wire as hex text.
const INSERT_EVENTS = `
  INSERT INTO events (nid, room, event_id, type, state_key, sender, origin_server_ts, order_key, chunk, batch, visibility,
                      previous, body, unsigned)
  SELECT e.nid, e.room, e.event_id, e.type, e.state_key, e.sender, e.ts, e.order_key, e.chunk, e.batch, e.visibility,
         e.previous, substring($1::bytea FROM e.body_at FOR e.body_length),
         CASE WHEN e.unsigned_length > 0 THEN substring($1::bytea FROM e.body_at + e.body_length FOR e.unsigned_length) END
    FROM unnest($2::bigint[], $3::int[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::bigint[],
                $10::bigint[], $11::bigint[], $12::smallint[], $13::text[], $14::int[], $15::int[], $16::int[])
         AS e (nid, room, event_id, type, state_key, sender, ts, order_key, chunk, batch, visibility,
               previous, body_at, body_length, unsigned_length)`;

/** Stores new events. An event that is stored already is an error: rooms are locked and known events are left out. */
export async function insertEvents(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const events = writes.flatMap(({ room, events: list }) => list.map((item) => ({ room, ...item })));
  if (events.length === 0) return;
  const bytes: Buffer[] = [];
  let at = 1; // substring counts from 1
  const offsets = events.map(({ event }) => {
    const offset = at;
    bytes.push(event.body);
    if (event.unsigned !== undefined) bytes.push(event.unsigned);
    at += event.body.length + (event.unsigned?.length ?? 0);
    return offset;
  });
  const values = [
    Buffer.concat(bytes),
    events.map(({ nid }) => nid),
    events.map(({ room }) => room),
    events.map(({ event }) => event.eventId),
    events.map(({ event }) => event.type),
    events.map(({ event }) => event.stateKey),
    events.map(({ event }) => event.sender),
    events.map(({ event }) => event.originServerTsMs),
    events.map(({ orderKey }) => orderKey),
    events.map(({ chunk }) => chunk),
    events.map(({ batch }) => batch),
    events.map(({ visibility }) => visibility),
    events.map(({ event }) => event.previous),
    offsets,
    events.map(({ event }) => event.body.length),
    events.map(({ event }) => event.unsigned?.length ?? 0),
  ];
  await tx.query({ name: "insert-events", text: INSERT_EVENTS, values });
}

const PLACE_EVENTS = `
  UPDATE events AS e
     SET order_key = p.order_key, chunk = p.chunk, batch = p.batch, visibility = p.visibility
    FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::smallint[])
         AS p (nid, order_key, chunk, batch, visibility)
   WHERE e.nid = p.nid`;

const INSERT_CHUNKS = `
  INSERT INTO chunks (chunk, room, attested_for, continues, is_start)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bool[], $5::bool[])`;

const JOIN_CHUNKS = `UPDATE chunks SET continues = true WHERE chunk = ANY($1::bigint[])`;

const START_CHUNKS = `UPDATE chunks SET is_start = true WHERE chunk = ANY($1::bigint[])`;

const INSERT_TOKENS = `
  INSERT INTO batch_tokens (room, order_key, token)
  SELECT DISTINCT ON (t.room, t.order_key) t.room, t.order_key, t.token
    FROM unnest($1::int[], $2::bigint[], $3::text[]) AS t (room, order_key, token)
  ON CONFLICT (room, order_key) DO NOTHING`;

const INSERT_TRANSACTION_IDS = `
  INSERT INTO transaction_ids AS known (nid, device_nid, transaction_id)
  SELECT DISTINCT ON (t.nid, t.device_nid) t.nid, t.device_nid, t.transaction_id
    FROM unnest($1::bigint[], $2::int[], $3::text[]) AS t (nid, device_nid, transaction_id)
   ORDER BY t.nid, t.device_nid, t.transaction_id NULLS LAST
  ON CONFLICT (nid, device_nid) DO UPDATE SET transaction_id = EXCLUDED.transaction_id
   WHERE known.transaction_id IS NULL AND EXCLUDED.transaction_id IS NOT NULL`;

/** Starts chunks, closes holes before others, and notes of some that they begin with the room's creation. */
export async function writeChunks(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const chunks = writes.flatMap(({ room, chunks: list }) => list.map((item) => ({ room, ...item })));
  const joined = writes.flatMap((write) => write.joined);
  const begun = writes.flatMap((write) => write.started);
  const started = [
    chunks.map(({ chunk }) => chunk),
    chunks.map(({ room }) => room),
    chunks.map(({ attestedFor }) => attestedFor),
    chunks.map(({ continues }) => continues),
    chunks.map(({ isStart }) => isStart),
  ];
  await Promise.all([
    chunks.length > 0 && tx.query({ name: "insert-chunks", text: INSERT_CHUNKS, values: started }),
    joined.length > 0 && tx.query({ name: "join-chunks", text: JOIN_CHUNKS, values: [joined] }),
    begun.length > 0 && tx.query({ name: "start-chunks", text: START_CHUNKS, values: [begun] }),
  ]);
}

/** Gives stored events their places in the timeline. */
export async function placeEvents(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const placed = writes.flatMap((write) => write.placed);
  if (placed.length === 0) return;
  const values = [
    placed.map(({ nid }) => nid),
    placed.map(({ orderKey }) => orderKey),
    placed.map(({ chunk }) => chunk),
    placed.map(({ batch }) => batch),
    placed.map(({ visibility }) => visibility),
  ];
  await tx.query({ name: "place-events", text: PLACE_EVENTS, values });
}

const MOVE_EVENTS = `
  UPDATE events AS e SET chunk = m.chunk FROM unnest($1::bigint[], $2::bigint[]) AS m (nid, chunk) WHERE e.nid = m.nid`;

const SPLIT_CHUNKS = `
  UPDATE events AS e SET chunk = s.into_chunk
    FROM unnest($1::int[], $2::bigint[], $3::bigint[], $4::bigint[]) AS s (room, from_chunk, above, into_chunk)
   WHERE e.room = s.room AND e.order_key > s.above AND e.chunk = s.from_chunk`;

const DELETE_CHUNKS = `DELETE FROM chunks WHERE chunk = ANY($1::bigint[])`;

/** Puts stored events into other chunks, where they stand, and takes away chunks that have none left. */
export async function moveEvents(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  // An event may move more than once in one transaction; the last time counts.
  const moved = new Map(writes.flatMap((write) => write.moved).map(({ nid, chunk }) => [nid, chunk]));
  const emptied = writes.flatMap((write) => write.emptied);
  const values = [[...moved.keys()], [...moved.values()]];
  const splits = writes.flatMap(({ room, splits: list }) => list.map((split) => ({ room, ...split })));
  const split = [
    splits.map(({ room }) => room),
    splits.map(({ from }) => from),
    splits.map(({ above }) => above),
    splits.map(({ into }) => into),
  ];
  await Promise.all([
    splits.length > 0 && tx.query({ name: "split-chunks", text: SPLIT_CHUNKS, values: split }),
    moved.size > 0 && tx.query({ name: "move-events", text: MOVE_EVENTS, values }),
    emptied.length > 0 && tx.query({ name: "delete-chunks", text: DELETE_CHUNKS, values: [emptied] }),
  ]);
}

/** Stores tokens that stand before events. */
export async function insertBatchTokens(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const tokens = writes.flatMap(({ room, tokens: list }) => list.map((item) => ({ room, ...item })));
  if (tokens.length === 0) return;
  const values = [tokens.map(({ room }) => room), tokens.map((t) => t.orderKey), tokens.map((t) => t.token)];
  await tx.query({ name: "insert-tokens", text: INSERT_TOKENS, values });
}

/** Stores which device sent what under which transaction id, and which events came to a device without one. */
export async function insertTransactionIds(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const sent = writes.flatMap((write) => write.transactionIds);
  if (sent.length === 0) return;
  const values = [sent.map((s) => s.nid), sent.map((s) => s.deviceNid), sent.map((s) => s.transactionId)];
  await tx.query({ name: "insert-transaction-ids", text: INSERT_TRANSACTION_IDS, values });
}

const UPSERT_STATE = `
  INSERT INTO current_state (room, type, state_key, nid, batch)
  SELECT * FROM unnest($1::int[], $2::text[], $3::text[], $4::bigint[], $5::bigint[])
  ON CONFLICT (room, type, state_key) DO UPDATE SET nid = EXCLUDED.nid, batch = EXCLUDED.batch`;

const INSERT_DELTAS = `
  INSERT INTO state_deltas (batch, room, type, state_key, nid, prev_nid)
  SELECT * FROM unnest($1::bigint[], $2::int[], $3::text[], $4::text[], $5::bigint[], $6::bigint[])`;

/** Stores new current state, and the log of changes to rooms that were complete before. */
export async function writeState(tx: Tx, writes: readonly RoomWrites[]): Promise<void> {
  const changes = writes.flatMap(({ room, state }) => state.map((item) => ({ room, ...item })));
  if (changes.length === 0) return;
  // A key may change in several batches of one transaction; the last one is current.
  const current = [...new Map(changes.map((c) => [`${c.room}\0${c.type}\0${c.stateKey}`, c])).values()];
  const values = [
    current.map(({ room }) => room),
    current.map(({ type }) => type),
    current.map(({ stateKey }) => stateKey),
    current.map(({ nid }) => nid),
    current.map(({ batch }) => batch),
  ];
  const deltas = changes.filter(({ isBaseline }) => !isBaseline);
  const log = [
    deltas.map(({ batch }) => batch),
    deltas.map(({ room }) => room),
    deltas.map(({ type }) => type),
    deltas.map(({ stateKey }) => stateKey),
    deltas.map(({ nid }) => nid),
    deltas.map(({ previous }) => previous),
  ];
  await Promise.all([
    tx.query({ name: "upsert-state", text: UPSERT_STATE, values }),
    deltas.length > 0 && tx.query({ name: "insert-deltas", text: INSERT_DELTAS, values: log }),
  ]);
}
