import type { Queryable } from "./database.ts";

/** Resolves when the database answers. */
export async function pingDatabase(db: Queryable): Promise<void> {
  await db.query({ name: "ping", text: "SELECT 1" });
}
