import type { Database, Tx } from "./database.ts";

/** Rows that are read at a time: bodies of messages may be large. */
const PAGE = 200;

/** The form of the records. Grows when one of them changes so that who reads it must know. */
const FORMAT = 1;

/** Takes one line, with its end, and resolves when there is place for more. */
type WriteLine = (line: string) => Promise<void>;

/**
 * Writes the loss ledger as it is at one moment, a JSON object on each line; docs/loss-ledger.md names their members. The last one
 * tells how many there were, so that a file which was cut off is known as such. Returns that number.
 */
export async function exportLedger(db: Database, at: Date, write: WriteLine): Promise<number> {
  return await db.transaction(
    async (tx) => {
      let records = 0;
      const put = async (line: string) => {
        records += 1;
        await write(`${line}\n`);
      };
      await put(await head(tx, at));
      for (const read of [secrets, devices, toDeviceHeads, toDeviceMessages, deviceLists]) await read(tx, put);
      await put(JSON.stringify({ record: "end", records: records + 1 }));
      return records;
    },
    { snapshot: true },
  );
}

async function head(tx: Tx, at: Date): Promise<string> {
  const [row] = await tx.query<{ schema: number; position: number }>({
    text: `SELECT (SELECT max(version) FROM schema_migrations) AS schema, position FROM stream_head`,
  });
  if (row === undefined) throw new Error("the highest position is one row");
  const { schema, position } = row;
  return JSON.stringify({ record: "ledger", format: FORMAT, at: at.toISOString(), schema, stream_position: position });
}

async function secrets(tx: Tx, put: WriteLine): Promise<void> {
  const text = "SELECT key_id, sealed FROM secret_canary ORDER BY key_id";
  const rows = await tx.query<{ key_id: Buffer; sealed: Buffer }>({ text });
  for (const row of rows)
    await put(JSON.stringify({ record: "secret", key_id: hex(row.key_id), sealed: hex(row.sealed) }));
}

interface DeviceRow {
  readonly device_nid: number;
  readonly user_id: string;
  readonly device_id: string;
  readonly since: string | null;
  readonly token: Buffer | null;
  readonly token_hash: Buffer | null;
  readonly wanted_at: Date;
  readonly one_time_keys: Buffer | null;
  readonly fallback_keys: Buffer | null;
}

const DEVICES = `
  SELECT d.device_nid, u.user_id, d.device_id, d.since, d.token, d.token_hash, d.wanted_at, d.one_time_keys, d.fallback_keys
    FROM devices AS d JOIN users AS u USING (user_nid)
   WHERE d.device_nid > $1 ORDER BY d.device_nid LIMIT ${PAGE}`;

async function devices(tx: Tx, put: WriteLine): Promise<void> {
  await inPages<DeviceRow>(
    tx,
    DEVICES,
    [0],
    ({ device_nid }) => [device_nid],
    async (row) => {
      await put(
        withRaw(
          {
            ...nameOf("device", row),
            since: row.since,
            token: hex(row.token),
            token_hash: hex(row.token_hash),
            wanted_at: row.wanted_at.toISOString(),
          },
          { one_time_keys: row.one_time_keys, fallback_keys: row.fallback_keys },
        ),
      );
    },
  );
}

interface SequenceRow {
  readonly device_nid: number;
  readonly user_id: string;
  readonly device_id: string;
  readonly sequence: number;
}

const HEADS = `
  SELECT h.device_nid, u.user_id, d.device_id, h.sequence
    FROM to_device_heads AS h JOIN devices AS d USING (device_nid) JOIN users AS u USING (user_nid)
   WHERE h.device_nid > $1 ORDER BY h.device_nid LIMIT ${PAGE}`;

async function toDeviceHeads(tx: Tx, put: WriteLine): Promise<void> {
  await inPages<SequenceRow>(
    tx,
    HEADS,
    [0],
    ({ device_nid }) => [device_nid],
    async (row) => {
      await put(JSON.stringify({ ...nameOf("to_device_head", row), sequence: row.sequence }));
    },
  );
}

interface MessageRow extends SequenceRow {
  readonly body: Buffer;
}

const MESSAGES = `
  SELECT m.device_nid, u.user_id, d.device_id, m.sequence, m.body
    FROM to_device_messages AS m JOIN devices AS d USING (device_nid) JOIN users AS u USING (user_nid)
   WHERE (m.device_nid, m.sequence) > ($1, $2) ORDER BY m.device_nid, m.sequence LIMIT ${PAGE}`;

async function toDeviceMessages(tx: Tx, put: WriteLine): Promise<void> {
  const after = ({ device_nid, sequence }: MessageRow) => [device_nid, sequence];
  await inPages<MessageRow>(tx, MESSAGES, [0, 0], after, async (row) => {
    await put(withRaw({ ...nameOf("to_device_message", row), sequence: row.sequence }, { message: row.body }));
  });
}

interface DeviceListRow {
  readonly device_nid: number;
  readonly user_id: string;
  readonly device_id: string;
  readonly batch: number;
  readonly position: number | null;
  readonly about: string;
  readonly has_left: boolean;
}

const DEVICE_LISTS = `
  SELECT l.device_nid, u.user_id, d.device_id, l.batch, c.position, l.user_id AS about, l.has_left
    FROM device_list_log AS l JOIN devices AS d USING (device_nid) JOIN users AS u USING (user_nid)
    LEFT JOIN changes AS c USING (batch)
   WHERE (l.device_nid, l.batch, l.user_id) > ($1, $2, $3) ORDER BY l.device_nid, l.batch, l.user_id LIMIT ${PAGE}`;

async function deviceLists(tx: Tx, put: WriteLine): Promise<void> {
  const after = ({ device_nid, batch, about }: DeviceListRow) => [device_nid, batch, about];
  await inPages<DeviceListRow>(tx, DEVICE_LISTS, [0, 0, ""], after, async (row) => {
    const { position, about, has_left } = row;
    await put(JSON.stringify({ ...nameOf("device_list_change", row), position, about, has_left }));
  });
}

async function inPages<Row extends object>(
  tx: Tx,
  text: string,
  from: readonly unknown[],
  after: (row: Row) => readonly unknown[],
  put: (row: Row) => Promise<void>,
): Promise<void> {
  for (let values = from; ; ) {
    const rows = await tx.query<Row>({ text, values });
    for (const row of rows) await put(row);
    const last = rows.at(-1);
    if (last === undefined) return;
    values = after(last);
  }
}

const nameOf = (record: string, { user_id, device_id }: { readonly user_id: string; readonly device_id: string }) => ({
  record,
  user_id,
  device_id,
});

function hex(bytes: Buffer): string;
function hex(bytes: Buffer | null): string | null;
function hex(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString("hex");
}

/** Stored JSON goes in as it is. Between its parts a homeserver may have put line breaks; within texts there can be none. */
function withRaw(plain: object, raw: Readonly<Record<string, Buffer | null>>): string {
  const members = Object.entries(raw).map(
    ([name, body]) => `,"${name}":${body?.toString().replace(/[\r\n]/g, " ") ?? "null"}`,
  );
  return `${JSON.stringify(plain).slice(0, -1)}${members.join("")}}`;
}
