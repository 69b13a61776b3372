import type { UserNid } from "../model/ids.ts";
import type { Queryable } from "./database.ts";

/** A question to the homeserver that is not answered yet. */
export interface ContestRow {
  readonly key: string;
  /** As whom to ask. */
  readonly userNid: UserNid;
  /** JSON. */
  readonly body: string;
}

const UPSERT = `
  INSERT INTO contests (key, user_nid, body)
  SELECT c.key, c.user_nid, c.body FROM unnest($1::text[], $2::int[], $3::text[]) AS c (key, user_nid, body)
  ON CONFLICT (key, user_nid) DO UPDATE SET body = EXCLUDED.body`;

/** Keeps questions, as a rule in the transaction that raises them; of several with one key and user the last. */
export async function upsertContests(tx: Queryable, rows: readonly ContestRow[]): Promise<void> {
  if (rows.length === 0) return;
  const last = [...new Map(rows.map((row) => [`${row.userNid} ${row.key}`, row])).values()];
  const values = [last.map(({ key }) => key), last.map(({ userNid }) => userNid), last.map(({ body }) => body)];
  await tx.query({ name: "upsert-contests", text: UPSERT, values });
}

/** What is open as one user. */
export async function selectContests(db: Queryable, userNid: UserNid): Promise<readonly string[]> {
  const rows = await db.query<{ body: string }>({
    name: "select-contests",
    text: "SELECT body FROM contests WHERE user_nid = $1",
    values: [userNid],
  });
  return rows.map(({ body }) => body);
}

/** Questions that were answered, as whomever they were asked. */
export async function deleteContests(db: Queryable, keys: readonly string[]): Promise<void> {
  if (keys.length === 0) return;
  await db.query({ name: "delete-contests", text: "DELETE FROM contests WHERE key = ANY($1::text[])", values: [keys] });
}
