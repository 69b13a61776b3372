import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { chmod, cp, lstat, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { Client } from "pg";
import { type EmbeddedPostgresOptions, startEmbeddedPostgres } from "../../src/store/embedded-postgres.ts";
import { installedPostgres } from "../../src/store/embedded-postgres-programs.ts";

const PROGRAM = fileURLToPath(new URL("../support/embedded-program.ts", import.meta.url));
const isRoot = process.getuid?.() === 0;
const native = process.env.SLIDECAR_TEST_POSTGRES ?? installedPostgres();

let root: string;
let dataDir: string;
let programs: ChildProcess[];

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "slidecar-embedded-"));
  // The server runs as another user when we are root.
  await chmod(root, 0o755);
  dataDir = join(root, "postgres");
  programs = [];
});

afterEach(async () => {
  for (const program of programs) program.kill("SIGKILL");
  // Whatever a test left running is taken over and ended.
  if (await isThere(join(dataDir, "postmaster.pid"))) await (await start())[Symbol.asyncDispose]();
  await rm(root, { recursive: true, force: true });
});

const start = (options: Partial<EmbeddedPostgresOptions> = {}) =>
  startEmbeddedPostgres({ dataDir, native, log: () => {}, settings: { fsync: "off" }, ...options });

const isThere = async (path: string) => (await stat(path).catch(() => undefined)) !== undefined;

async function query(url: string, text: string) {
  const client = new Client({ connectionString: url });
  // The query rejects too; an error event that nobody hears would end the test.
  client.on("error", () => {});
  await client.connect();
  try {
    return (await client.query(text)).rows;
  } finally {
    await client.end();
  }
}

async function serverPid(): Promise<number> {
  return Number.parseInt(await readFile(join(dataDir, "postmaster.pid"), "utf8"), 10);
}

/** Empty for a process that has ended, also when nobody has asked for its end yet. */
const commandLine = (pid: number) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");

/** Runs the program in a process of its own. `said` is what it printed. */
async function startProgram() {
  const program = spawn(process.execPath, ["--no-warnings", PROGRAM, dataDir], { stdio: ["pipe", "pipe", "inherit"] });
  programs.push(program);
  const [said] = await once(createInterface({ input: program.stdout }), "line");
  return { program, said: String(said) };
}

test("a cluster is made once and keeps its data from one start to the next", async () => {
  {
    await using pg = await start();
    await query(pg.url, "CREATE TABLE kept AS SELECT 42 AS answer");
  }
  expect(await isThere(join(dataDir, "postmaster.pid"))).toBe(false);
  await using pg = await start();
  expect(await query(pg.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test("the cluster listens on a socket only, in a folder closed to other users, and takes UTF-8", async () => {
  await using pg = await start();
  expect(await query(pg.url, "SHOW listen_addresses")).toEqual([{ listen_addresses: "" }]);
  expect(await query(pg.url, "SHOW server_encoding")).toEqual([{ server_encoding: "UTF8" }]);
  expect((await stat(dataDir)).mode & 0o777).toBe(0o700);
});

test("the server does not get our environment, which holds secrets, nor root", async () => {
  process.env.SLIDECAR_TEST_SECRET = "swordfish";
  await using _pg = await start();
  delete process.env.SLIDECAR_TEST_SECRET;
  const pid = await serverPid();
  expect(await readFile(`/proc/${pid}/environ`, "utf8")).not.toContain("swordfish");
  expect((await stat(`/proc/${pid}`)).uid).toBe(isRoot ? 65534 : process.getuid?.());
});

test("after the program was killed, its server is taken over with the same process and data", async () => {
  const { program, said } = await startProgram();
  await query(said, "CREATE TABLE kept AS SELECT 42 AS answer");
  const pid = await serverPid();
  program.kill("SIGKILL");
  {
    await using pg = await start();
    expect(await serverPid()).toBe(pid);
    expect(await query(pg.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  }
  expect(await commandLine(pid)).not.toContain(dataDir);
});

test("a start while the server still ends for an earlier one waits for that", async () => {
  const first = await start();
  await query(first.url, "CREATE TABLE kept AS SELECT 42 AS answer");
  const ended = first[Symbol.asyncDispose]();
  await using second = await start();
  await ended;
  expect(await query(second.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
  expect(second.lost.aborted).toBe(false);
});

test("a second program for the same folder is told so and leaves the first alone", async () => {
  await using pg = await start();
  const { said } = await startProgram();
  expect(said).toBe(`EmbeddedPostgresError: another Slidecar uses ${dataDir}; end it or set another data_dir`);
  expect(await query(pg.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("of two programs that start together on a new folder one gets it", async () => {
  const said = (await Promise.all([startProgram(), startProgram()])).map((started) => started.said);
  expect(said.filter((line) => line.startsWith("postgresql://"))).toHaveLength(1);
  expect(said.filter((line) => line.includes("another Slidecar uses"))).toHaveLength(1);
});

test("a folder with a path too long for a socket gets its socket elsewhere, and the socket's folder goes with the server", async () => {
  dataDir = join(root, "a".repeat(100), "postgres");
  let socketFolder = "";
  {
    await using pg = await start();
    socketFolder = new URL(pg.url).searchParams.get("host") ?? "";
    expect(socketFolder.startsWith(root)).toBe(false);
    expect((await stat(socketFolder)).mode & 0o777).toBe(0o700);
    expect(await query(pg.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
  }
  expect(await isThere(socketFolder)).toBe(false);
});

test("a path with spaces and signs works", async () => {
  dataDir = join(root, "a b%20@ü?", "postgres");
  await using pg = await start();
  expect(await query(pg.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("variables of the environment that are for other databases do not count", async () => {
  const foreign = { PGPORT: "5999", PGSSLMODE: "require", PGHOST: "db.example.org", PGUSER: "eve", PGDATABASE: "eve" };
  Object.assign(process.env, foreign);
  try {
    await using pg = await start();
    expect(await query(pg.url, "SELECT current_user AS name")).toEqual([{ name: "slidecar" }]);
  } finally {
    for (const name of Object.keys(foreign)) delete process.env[name];
  }
});

test("after a crash of the machine a process with the old server's number is no obstacle", async () => {
  {
    await using pg = await start();
    await query(pg.url, "CREATE TABLE kept AS SELECT 42 AS answer");
  }
  const stale = [process.pid, dataDir, "1700000000", "5432", dataDir, "", "1 1", "ready", ""];
  await writeFile(join(dataDir, "postmaster.pid"), stale.join("\n"));
  await using pg = await start();
  expect(await query(pg.url, "SELECT answer FROM kept")).toEqual([{ answer: 42 }]);
});

test("what a start that was killed left beside the folder goes with the next start", async () => {
  const draft = join(root, "postgres.new-abcdef");
  await mkdir(draft);
  await writeFile(join(draft, "PG_VERSION"), "18");
  await using _pg = await start();
  expect(await readdir(root)).toEqual(["postgres"]);
});

test("a folder of another major version is refused and stays as it is", async () => {
  await mkdir(dataDir);
  await writeFile(join(dataDir, "PG_VERSION"), "13\n");
  await expect(start()).rejects.toThrow(/was made by PostgreSQL 13, installed is \d\d; install/);
  expect(await readdir(dataDir)).toEqual(["PG_VERSION"]);
});

test("a folder with other things in it is refused and stays as it is", async () => {
  await mkdir(dataDir);
  await writeFile(join(dataDir, "thesis.txt"), "");
  await expect(start()).rejects.toThrow(`${dataDir} holds something else than a PostgreSQL cluster`);
  expect(await readdir(dataDir)).toEqual(["thesis.txt"]);
});

test("an empty folder that is there already is used", async () => {
  await mkdir(dataDir);
  await using pg = await start();
  expect(await query(pg.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("a server that cannot start says why", async () => {
  await expect(start({ settings: { shared_buffers: "lots" } })).rejects.toThrow(
    /did not start: .*shared_buffers.*lots/,
  );
});

test("programs under a closed folder, without the links that npm leaves out, run all the same", async () => {
  const closed = join(root, "closed");
  const copy = join(closed, "native");
  await mkdir(closed);
  await cp(native, copy, { recursive: true, filter: async (path) => !(await lstat(path)).isSymbolicLink() });
  await chmod(closed, 0o700);
  await using pg = await start({ native: copy });
  expect(await query(pg.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("data under a closed folder is reached", async () => {
  const closed = join(root, "closed");
  await mkdir(closed);
  await chmod(closed, 0o700);
  dataDir = join(closed, "postgres");
  await using pg = await start();
  expect(await query(pg.url, "SELECT 1 AS one")).toEqual([{ one: 1 }]);
});

test("the loss of the server is told", async () => {
  await using pg = await start();
  process.kill(await serverPid(), "SIGQUIT");
  await once(pg.lost, "abort");
  expect(String(pg.lost.reason)).toContain("the embedded PostgreSQL has ended");
});

test("the crash of one process of the server is no loss, and the folder stays ours", async () => {
  await using pg = await start();
  const client = new Client({ connectionString: pg.url });
  client.on("error", () => {});
  await client.connect();
  const { rows } = await client.query("SELECT pg_backend_pid() AS pid");
  const ended = new Promise<void>((resolve) => client.once("end", resolve));
  process.kill(rows[0].pid, "SIGKILL");
  await ended;
  // The crash took the lock too; it is taken again as soon as the server lets anybody in.
  const isOwned = "SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 7304983 AND granted";
  while ((await query(pg.url, isOwned).catch(() => [])).length === 0);
  const { said } = await startProgram();
  expect(said).toContain("another Slidecar uses");
  expect(pg.lost.aborted).toBe(false);
});
