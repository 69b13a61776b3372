import type { ChangeStream } from "../model/change.ts";
import type { DeviceNid, RoomNid, UserNid } from "../model/ids.ts";
import { type StreamPosition, streamPosition } from "../model/stream-position.ts";
import { arrayLiteral } from "./array-literal.ts";
import type { Tx } from "./database.ts";

/** The channel on which processes tell each other the highest position that they made visible. */
export const STREAM_CHANNEL = "slidecar_stream";

/** A batch that was written in this transaction and becomes visible with it. */
export interface NewChange {
  /** From {@link drawBatches}. */
  readonly batch: number;
  readonly stream: ChangeStream;
  readonly room?: RoomNid | undefined;
  /** Of {@link ChangeStream.membership}, instead of `room`: all rooms in which something changed for the user. */
  readonly rooms?: readonly RoomNid[] | undefined;
  readonly userNid?: UserNid | undefined;
  readonly deviceNid?: DeviceNid | undefined;
  /** `ChangeFlag` bits. */
  readonly flags: number;
}

/** Numbers for batches, growing. Numbers of a transaction that fails are never used. */
export async function drawBatches(tx: Tx, count: number): Promise<readonly number[]> {
  if (count === 0) return [];
  const rows = await tx.query<{ batch: number }>({
    name: "draw_batches",
    text: "SELECT nextval('batch_ids') AS batch FROM generate_series(1, $1::integer)",
    values: [count],
  });
  return rows.map(({ batch }) => batch);
}

// The functions in `drawn` and in the outer list are evaluated after the row they take from was made, so the difference
// covers the wait for the lock and the work under it.
const PUBLISH = `
  WITH started AS MATERIALIZED (SELECT clock_timestamp() AS at),
       drawn AS MATERIALIZED (
         SELECT at, publish_changes($1::bigint[], $2::smallint[], $3::integer[], $4::integer[], $5::integer[],
                                    $6::smallint[], $7::bigint, $8::text[]) AS first
           FROM started)
  SELECT first, extract(epoch FROM clock_timestamp() - at)::float8 AS seconds FROM drawn`;

/**
 * Draws positions for the batches, in the order given, and makes them visible with the commit. The last statement of a
 * write transaction: from here to the commit nobody else can publish. `receivedUs`: when the last byte of the homeserver's
 * response was read. `observeLock` gets how long the lock was waited for and worked under, in seconds.
 */
export async function publishChanges(
  tx: Tx,
  changes: readonly NewChange[],
  receivedUs: number | undefined,
  observeLock?: (seconds: number) => void,
): Promise<readonly StreamPosition[]> {
  if (changes.length === 0) return [];
  const rows = await tx.query<{ first: number; seconds: number }>({
    name: "publish_changes",
    text: PUBLISH,
    values: [
      changes.map(({ batch }) => batch),
      changes.map(({ stream }) => stream),
      changes.map(({ room }) => room),
      changes.map(({ userNid }) => userNid),
      changes.map(({ deviceNid }) => deviceNid),
      changes.map(({ flags }) => flags),
      receivedUs,
      changes.map(({ rooms }) => rooms && arrayLiteral(rooms)),
    ],
  });
  return rows.flatMap(({ first, seconds }) => {
    observeLock?.(seconds);
    return changes.map((_, index) => streamPosition(first + index));
  });
}
