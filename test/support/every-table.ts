import type { Queryable } from "../../src/store/database.ts";

/** Tables that hold a text anywhere, as text or as bytes. */
export async function everyTable(db: Queryable, wanted: string): Promise<readonly string[]> {
  const tables = await db.query<{ table_name: string }>({
    text: "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public' AND table_type = 'BASE TABLE'",
    values: [],
  });
  const found: string[] = [];
  for (const { table_name: table } of tables) {
    const text = `SELECT FROM ${table} AS t WHERE position($1 IN t::text) > 0 OR position($2 IN t::text) > 0 LIMIT 1`;
    const rows = await db.query({ text, values: [wanted, Buffer.from(wanted).toString("hex")] });
    if (rows.length > 0) found.push(table);
  }
  return found;
}
