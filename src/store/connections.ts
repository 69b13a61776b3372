import type { DeviceId, UserNid } from "../model/ids.ts";
import type { Queryable } from "./database.ts";
import { NO_WAIT_FOR_DISK } from "./statement.ts";

/** A connection is (user, device, conn_id), never a token. */
export interface ConnectionKey {
  readonly userNid: UserNid;
  readonly deviceId: DeviceId;
  /** `""` where the client gives none. */
  readonly connId: string;
}

/** One text for each key, and no other key's. `pos` is made with it: a change makes every `pos` unknown. */
export const textOfKey = ({ userNid, deviceId, connId }: ConnectionKey): string =>
  JSON.stringify([userNid, deviceId, connId]);

const USE_CONNECTION = `SELECT use_connection($1, $2, $3, $4, $5) AS before`;

/**
 * Confirms the position that a client presents. Returns the one that was confirmed before (the same, on a retry);
 * undefined: the position cannot be honoured.
 */
export async function confirmPosition(
  db: Queryable,
  key: ConnectionKey,
  connection: number,
  position: number,
): Promise<number | undefined> {
  const values = [connection, key.userNid, key.deviceId, key.connId, position];
  const [row] = await db.query<{ before: number | null }>({ name: "use-connection", text: USE_CONNECTION, values });
  return row?.before ?? undefined;
}

const SELECT_CONNECTION = `
  SELECT c.base, d.position, d.parent, d.delta
    FROM connections AS c
    LEFT JOIN connection_deltas AS d
      ON d.connection = c.connection AND d.position > c.base_position AND d.position <= $2
   WHERE c.connection = $1
   ORDER BY d.position`;

/** State at a confirmed position: a base and the confirmed deltas after it, in order. */
interface StoredConnection {
  readonly base: Buffer;
  readonly deltas: readonly Buffer[];
}

export async function selectConnection(
  db: Queryable,
  connection: number,
  position: number,
): Promise<StoredConnection | undefined> {
  const rows = await db.query<DeltaRow>({
    name: "select-connection",
    text: SELECT_CONNECTION,
    values: [connection, position],
  });
  const [first] = rows;
  return first && { base: first.base, deltas: wayTo(position, rows) };
}

interface DeltaRow {
  readonly base: Buffer;
  readonly position: number | null;
  readonly parent: number | null;
  readonly delta: Buffer | null;
}

/**
 * What leads to a position, from child to parent. An answer to an earlier position that was stored at the moment at which the one
 * after that was confirmed may still be there, and leads nowhere.
 */
function wayTo(position: number, rows: readonly DeltaRow[]): readonly Buffer[] {
  const way: Buffer[] = [];
  let next: number | null = position;
  for (const row of rows.toReversed()) {
    if (row.position !== next || row.delta === null) continue;
    way.push(row.delta);
    next = row.parent;
  }
  return way.reverse();
}

/** Answers computed from one confirmed position that are kept. A client that cancels often has several under way. */
export const MAX_CHILDREN = 8;

/** Connections of one device. More: a client that invents conn_ids fills the table. Fewer: its own processes displace each other. */
const MAX_CONNECTIONS = 20;

/** An answer that was computed from `parent`. */
export interface NewChild {
  readonly parent: number;
  readonly position: number;
  readonly delta: Buffer;
}

/** One whose parent is not confirmed yet, but follows what is: `before`. */
interface ConfirmedChild extends NewChild {
  readonly before: number;
}

// The lock makes it wait for a request that is just confirming another position, and look again; and a removal of the connection
// wait for it, which takes with it what it finds (migration 27). Positions grow from parent to child, so that the many that were
// confirmed before are passed over by the index.
const INSERT_CHILD = `
  WITH parent AS (
    SELECT connection FROM connections WHERE connection = $1 AND confirmed = $2 FOR SHARE
  ), gone AS (
    DELETE FROM connection_deltas AS d
     WHERE d.connection = $1 AND d.position > $2 AND d.parent = $2 AND d.position <= (
           SELECT k.position FROM connection_deltas AS k
            WHERE k.connection = $1 AND k.position > $2 AND k.parent = $2
            ORDER BY k.position DESC OFFSET ${MAX_CHILDREN - 1} LIMIT 1)
  )
  INSERT INTO connection_deltas (connection, position, parent, delta)
  SELECT connection, $3, $2, $4 FROM parent WHERE ${NO_WAIT_FOR_DISK}
  RETURNING position`;

/**
 * Appends an answer to a confirmed position, without waiting for the disk. False: that position is not the confirmed one
 * any more.
 */
export async function insertChild(db: Queryable, connection: number, child: NewChild): Promise<boolean> {
  const values = [connection, child.parent, child.position, child.delta];
  return (await db.query({ name: "insert-child", text: INSERT_CHILD, values })).length > 0;
}

// As confirming and appending one after the other, but for the other answers to the position before, which nobody can use any
// more: they go with the next base, or the one after that. The row is locked by the update, so that nobody else can append
// meanwhile, or remove it.
const CONFIRM_AND_INSERT = `
  WITH confirmed AS (
    UPDATE connections AS c SET confirmed = $3, used_at = now()
     WHERE c.connection = $1 AND c.confirmed = $2 AND ${NO_WAIT_FOR_DISK}
       AND EXISTS (SELECT FROM connection_deltas AS d WHERE d.connection = $1 AND d.position = $3 AND d.parent = $2)
    RETURNING c.connection
  )
  INSERT INTO connection_deltas (connection, position, parent, delta)
  SELECT connection, $4, $3, $5 FROM confirmed
  RETURNING position`;

/**
 * Confirms a position whose parent, which is not the root's, is still the confirmed one, and appends an answer to it: one
 * statement. False: the parent is not the confirmed one any more; nothing was done.
 */
export async function confirmAndInsert(
  db: Queryable,
  connection: number,
  { before, parent, position, delta }: ConfirmedChild,
): Promise<boolean> {
  const values = [connection, before, parent, position, delta];
  return (await db.query({ name: "confirm-and-insert", text: CONFIRM_AND_INSERT, values })).length > 0;
}

// Rows that another request is using or removing are passed over, so that no two wait for each other. The arrays are made
// once each; as joins, a planner that knows little of the table would look for the superfluous once per row.
const INSERT_ROOT = `
  WITH others AS (
    SELECT connection, conn_id = $4 AND confirmed = 0 AS is_sibling, used_at
      FROM connections WHERE user_nid = $2 AND device_id = $3
  ), superfluous AS (
    (SELECT connection FROM others WHERE is_sibling ORDER BY connection DESC OFFSET ${MAX_CHILDREN - 1})
    UNION ALL
    (SELECT connection FROM others WHERE NOT is_sibling ORDER BY used_at DESC OFFSET ${MAX_CONNECTIONS - 1})
  ), gone AS (
    DELETE FROM connections WHERE connection = ANY (ARRAY(
      SELECT c.connection FROM connections AS c
       WHERE c.connection = ANY (ARRAY(SELECT connection FROM superfluous))
         FOR UPDATE SKIP LOCKED))
  ), root AS (
    INSERT INTO connections (connection, user_nid, device_id, conn_id, confirmed, base, base_position)
    SELECT $1, $2, $3, $4, 0, $5, 0 WHERE ${NO_WAIT_FOR_DISK}
    ON CONFLICT (connection) DO NOTHING
    RETURNING connection
  )
  INSERT INTO connection_deltas (connection, position, parent, delta)
  SELECT connection, $6, 0, $7 FROM root
  RETURNING position`;

/**
 * Stores a new connection with its first answer, without waiting for the disk. The others of its key go when it is used.
 * False: the number is taken.
 */
export async function insertConnection(
  db: Queryable,
  { userNid, deviceId, connId }: ConnectionKey,
  first: { readonly connection: number; readonly base: Buffer; readonly position: number; readonly delta: Buffer },
): Promise<boolean> {
  const values = [first.connection, userNid, deviceId, connId, first.base, first.position, first.delta];
  return (await db.query({ name: "insert-root", text: INSERT_ROOT, values })).length > 0;
}

const REBASE = `
  WITH based AS (
    UPDATE connections AS c SET base = $3, base_position = $2
     WHERE c.connection = $1 AND c.confirmed = $2 AND ${NO_WAIT_FOR_DISK}
    RETURNING c.connection
  )
  DELETE FROM connection_deltas AS d USING based AS b WHERE d.connection = b.connection AND d.position <= $2`;

/** Folds the confirmed deltas into a new base, without waiting for the disk. */
export async function rebaseConnection(
  db: Queryable,
  connection: number,
  base: { readonly position: number; readonly state: Buffer },
): Promise<void> {
  await db.query({ name: "rebase-connection", text: REBASE, values: [connection, base.position, base.state] });
}

const EXPIRE = `DELETE FROM connections WHERE used_at < now() - $1 * interval '1 millisecond'`;

/** Removes connections that were not used for so long. */
export async function expireConnections(db: Queryable, idleMs: number): Promise<void> {
  await db.query({ name: "expire-connections", text: EXPIRE, values: [idleMs] });
}
