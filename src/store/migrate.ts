import { createHash } from "node:crypto";
import { readdir, readFile } from "node:fs/promises";
import type { Database, Queryable, Tx } from "./database.ts";

/** The database is not one that this program can use. The message is one line and says what mends it. */
export class SchemaError extends Error {
  override readonly name = "SchemaError";
}

/** One numbered file of the schema. */
export interface Migration {
  readonly version: number;
  /** The file name, `0001_facts.sql`. */
  readonly name: string;
  readonly sql: string;
}

interface AppliedMigration {
  readonly version: number;
  readonly name: string;
  readonly checksum: string;
}

const MIN_SERVER_MAJOR = 14;
const MAX_SERVER_MAJOR = 18;
/** Session lock of the schema. Keys of processes are above it. */
const SCHEMA_LOCK_KEY = 0;
/** Rewriting the tables of a large installation takes long. Smaller: such a one can never be brought up. */
const FILE_TIMEOUT_MS = 24 * 60 * 60_000;
const FOLDER = new URL("./migrations/", import.meta.url);

/**
 * Brings the schema up to this program, one transaction for each file; of several programs that start together one does
 * it. Throws {@link SchemaError} when the database is not ours, is newer than this program, or cannot be used.
 */
export async function migrate(db: Database, migrations?: readonly Migration[]): Promise<{ from: number; to: number }> {
  const known = migrations ?? (await readMigrations());
  await checkServer(db);
  await using _lock = await db.holdSessionLock(SCHEMA_LOCK_KEY);
  const applied = await appliedMigrations(db);
  checkHistory(applied, known);
  for (const migration of known.slice(applied.length)) {
    await db.transaction((tx) => apply(tx, migration));
  }
  return { from: versionOf(applied), to: versionOf(known) };
}

/** Files that {@link migrate} would run, in order. Throws as it does. */
export async function pendingMigrations(
  db: Queryable,
  migrations?: readonly Migration[],
): Promise<readonly Migration[]> {
  const known = migrations ?? (await readMigrations());
  await checkServer(db);
  const applied = await appliedMigrations(db);
  checkHistory(applied, known);
  return known.slice(applied.length);
}

/** Throws {@link SchemaError} when the database has another schema than this program. */
export async function requireSchema(db: Queryable): Promise<void> {
  const pending = await pendingMigrations(db);
  if (pending.length === 0) return;
  throw new SchemaError(
    `the database has not yet the schema of this program (${pending.length} steps behind); run slidecar migrate, or the ` +
      "program that goes with it",
  );
}

export async function readMigrations(): Promise<readonly Migration[]> {
  const names = (await readdir(FOLDER)).filter((name) => name.endsWith(".sql")).sort();
  return await Promise.all(
    names.map(async (name) => ({
      version: Number.parseInt(name, 10),
      name,
      sql: await readFile(new URL(name, FOLDER), "utf8"),
    })),
  );
}

const versionOf = (migrations: readonly { readonly version: number }[]) => migrations.at(-1)?.version ?? 0;

const checksumOf = ({ sql }: Migration) => createHash("sha256").update(sql).digest("hex");

async function apply(tx: Tx, migration: Migration): Promise<void> {
  await tx.query({
    text: `CREATE TABLE IF NOT EXISTS schema_migrations (
      version integer PRIMARY KEY, name text NOT NULL, checksum text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now()
    )`,
  });
  await tx.query({ text: migration.sql, timeoutMs: FILE_TIMEOUT_MS });
  await tx.query({
    text: "INSERT INTO schema_migrations (version, name, checksum) VALUES ($1, $2, $3)",
    values: [migration.version, migration.name, checksumOf(migration)],
  });
}

async function checkServer(db: Queryable): Promise<void> {
  const rows = await db.query<{ version: string; number: number; encoding: string }>({
    text: `SELECT current_setting('server_version') AS version, current_setting('server_version_num')::integer AS number,
                  current_setting('server_encoding') AS encoding`,
  });
  for (const { version, number, encoding } of rows) {
    const major = Math.floor(number / 10_000);
    if (major < MIN_SERVER_MAJOR || major > MAX_SERVER_MAJOR) {
      throw new SchemaError(
        `the database server is PostgreSQL ${version}; use one of ${MIN_SERVER_MAJOR} to ${MAX_SERVER_MAJOR}`,
      );
    }
    if (encoding !== "UTF8") {
      throw new SchemaError(
        `the database has the encoding ${encoding}; create it with CREATE DATABASE … ENCODING 'UTF8' TEMPLATE template0`,
      );
    }
  }
}

async function appliedMigrations(db: Queryable): Promise<readonly AppliedMigration[]> {
  const tables = await db.query<{ name: string }>({
    text: `SELECT c.relname AS name FROM pg_class c
            WHERE c.relnamespace = current_schema()::regnamespace AND c.relkind IN ('r', 'p') ORDER BY 1`,
  });
  if (tables.length === 0) return [];
  if (!tables.some(({ name }) => name === "schema_migrations")) {
    const names = tables.slice(0, 3).map(({ name }) => name);
    throw new SchemaError(
      `the database holds tables of another program (${names.join(", ")}); set database.url to an empty database`,
    );
  }
  return await db.query<AppliedMigration>({
    text: "SELECT version, name, checksum FROM schema_migrations ORDER BY version",
  });
}

function checkHistory(applied: readonly AppliedMigration[], known: readonly Migration[]): void {
  const newest = versionOf(applied);
  if (newest > versionOf(known)) {
    throw new SchemaError(
      `the database has schema ${newest}, this program knows ${versionOf(known)}; ` +
        "start the newer program that was here before",
    );
  }
  for (const [index, { version, name, checksum }] of applied.entries()) {
    const migration = known[index];
    if (migration?.version !== version || checksumOf(migration) !== checksum) {
      throw new SchemaError(
        `the schema of the database was made by another ${name} than this program has; ` +
          "use a released program, or an empty database",
      );
    }
  }
}
