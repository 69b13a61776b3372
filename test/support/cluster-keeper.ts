// Keeps a database cluster for a test run: TEST_DATABASE_URL, or a temporary one. Prints where the template is, and ends
// when its standard input does.
import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { openDatabase } from "../../src/store/database.ts";
import { startEmbeddedPostgres } from "../../src/store/embedded-postgres.ts";
import { migrate } from "../../src/store/migrate.ts";
import { databaseUrl } from "./database-url.ts";

/** What makes tests quick and would lose data in a crash. */
const SETTINGS = { fsync: "off", full_page_writes: "off", synchronous_commit: "off", max_connections: "300" };

async function startCluster(): Promise<{ url: string } & AsyncDisposable> {
  const url = process.env.TEST_DATABASE_URL;
  if (url !== undefined) return { url, [Symbol.asyncDispose]: async () => {} };
  const folder = await mkdtemp(join(tmpdir(), "slidecar-test-"));
  const native = process.env.SLIDECAR_TEST_POSTGRES;
  const remove = () => rm(folder, { recursive: true, force: true });
  try {
    const options = { dataDir: join(folder, "postgres"), log: () => {}, settings: SETTINGS };
    const cluster = await startEmbeddedPostgres(native === undefined ? options : { ...options, native });
    const dispose = async () => {
      await cluster[Symbol.asyncDispose]();
      await remove();
    };
    return { url: cluster.url, [Symbol.asyncDispose]: dispose };
  } catch (error) {
    await remove();
    throw error;
  }
}

// Ctrl-C reaches jest, whose end closes our input.
for (const signal of ["SIGINT", "SIGHUP"]) process.on(signal, () => {});
const inputEnded = new Promise<void>((resolve) => process.stdin.resume().once("close", resolve).once("end", resolve));

await using cluster = await startCluster();
await using admin = openDatabase({ url: cluster.url, poolSize: 3, onError: () => {} });
const run = `slidecar_${randomBytes(6).toString("hex")}`;
const name = `${run}_template`;
await admin.query({ text: `CREATE DATABASE ${name} ENCODING 'UTF8' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0` });
{
  await using db = openDatabase({ url: databaseUrl(cluster.url, name), poolSize: 3, onError: () => {} });
  await migrate(db);
}
console.log(JSON.stringify({ adminUrl: cluster.url, name }));
await inputEnded;
const left = await admin.query<{ datname: string }>({
  text: "SELECT datname FROM pg_database WHERE starts_with(datname, $1)",
  values: [run],
});
for (const { datname } of left) await admin.query({ text: `DROP DATABASE ${datname} WITH (FORCE)` });
