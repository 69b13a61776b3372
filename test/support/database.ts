import { randomBytes } from "node:crypto";
import { Client } from "pg";
import { type Database, openDatabase } from "../../src/store/database.ts";
import { findTemplate, type Template } from "./cluster.ts";
import { databaseUrl } from "./database-url.ts";

export interface TestDatabase extends Database {
  readonly url: string;
}

/** A migrated and otherwise empty database of its own. Disposing drops it. */
export async function openTestDatabase(options: { poolSize?: number } = {}): Promise<TestDatabase> {
  const template = await findTemplate();
  const name = template.name.replace("template", randomBytes(6).toString("hex"));
  await asAdmin(template, `CREATE DATABASE ${name} TEMPLATE ${template.name}`);
  return await opened(template, name, options.poolSize);
}

/** A database without any table. `options` as CREATE DATABASE takes them. */
export async function openEmptyDatabase(options = ""): Promise<TestDatabase> {
  const template = await findTemplate();
  const name = template.name.replace("template", randomBytes(6).toString("hex"));
  await asAdmin(template, `CREATE DATABASE ${name} TEMPLATE template0 ${options}`);
  return await opened(template, name);
}

/** A database as it is now, to be put back in its place. Whoever is connected when it is made, or put back, is cut off. */
export async function dumpDatabase({ url }: TestDatabase): Promise<AsyncDisposable & { restore(): Promise<void> }> {
  const template = await findTemplate();
  const name = new URL(url).pathname.slice(1);
  const dump = `${name}_dump`;
  const cutOff = `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '${name}'`;
  await asAdmin(template, cutOff);
  await asAdmin(template, `CREATE DATABASE ${dump} TEMPLATE ${name}`);
  return {
    restore: async () => {
      await asAdmin(template, `DROP DATABASE ${name} WITH (FORCE)`);
      await asAdmin(template, `CREATE DATABASE ${name} TEMPLATE ${dump}`);
    },
    [Symbol.asyncDispose]: () => asAdmin(template, `DROP DATABASE IF EXISTS ${dump} WITH (FORCE)`),
  };
}

async function opened(template: Template, name: string, poolSize = 12): Promise<TestDatabase> {
  const url = databaseUrl(template.adminUrl, name);
  const db = openDatabase({ url, poolSize, onError: () => {} });
  return {
    ...db,
    url,
    async [Symbol.asyncDispose]() {
      await db[Symbol.asyncDispose]();
      await asAdmin(template, `DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

async function asAdmin(template: Template, sql: string): Promise<void> {
  const client = new Client({ connectionString: template.adminUrl });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}
