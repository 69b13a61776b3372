import { chmod, mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "@jest/globals";
import { Client } from "pg";
import { startEmbeddedPostgres } from "../../src/store/embedded-postgres.ts";
import { installedPostgres } from "../../src/store/embedded-postgres-programs.ts";
import { until } from "../support/until.ts";

/** It computes: only its end lets the process notice that its server is gone. */
const LONG_STATEMENT = "SELECT count(*) FROM generate_series(1, 8000000)";

test("a server that was killed amid a statement starts again once the statement has ended", async () => {
  const root = await mkdtemp(join(tmpdir(), "slidecar-leftovers-"));
  // The server runs as another user when we are root.
  await chmod(root, 0o755);
  const native = process.env.SLIDECAR_TEST_POSTGRES ?? installedPostgres();
  const options = { dataDir: join(root, "postgres"), native, log: () => {}, settings: { fsync: "off" } };
  const first = await startEmbeddedPostgres(options);
  const client = new Client({ connectionString: first.url });
  client.on("error", () => {});
  await client.connect();
  const cut = client.query(LONG_STATEMENT).catch((error: Error) => error);
  const looking = new Client({ connectionString: first.url });
  looking.on("error", () => {});
  await looking.connect();
  const running = "SELECT FROM pg_stat_activity WHERE state = 'active' AND query = $1";
  await until(async () => (await looking.query(running, [LONG_STATEMENT])).rowCount === 1);
  process.kill(Number.parseInt(await readFile(join(root, "postgres", "postmaster.pid"), "utf8"), 10), "SIGKILL");
  await until(() => first.lost.aborted);
  {
    await using again = await startEmbeddedPostgres(options);
    expect(again.url).toContain("host=");
  }
  await cut;
  await first[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});
