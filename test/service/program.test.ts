import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "@jest/globals";
import { openTestDatabase } from "../support/database.ts";
import { answers, freePort, runProgram, startProgram, until } from "../support/program.ts";

/** Nothing listens there: the program starts without its homeserver. */
const HOMESERVER = "http://127.0.0.1:9";

interface Place extends AsyncDisposable {
  readonly folder: string;
  /** Writes a configuration file and returns its path. */
  readonly config: (yaml: string) => Promise<string>;
}

async function place(): Promise<Place> {
  const folder = await mkdtemp(join(tmpdir(), "slidecar-program-"));
  return {
    folder,
    config: async (yaml) => {
      const path = join(folder, "config.yaml");
      await writeFile(path, yaml);
      return path;
    },
    [Symbol.asyncDispose]: () => rm(folder, { recursive: true, force: true }),
  };
}

const oneLine = (text: string) => text.trim().split("\n").length === 1;

describe("a mistake is one line that names the key and the mend, exit code 1, and changes nothing", () => {
  test.each([
    ["an unknown key", "homeserver: { ulr: http://127.0.0.1:9 }\n", /homeserver\.ulr.*did you mean homeserver\.url/],
    [
      "a wrong type",
      "homeserver: { url: http://127.0.0.1:9 }\nsync: { initial_wait: ten }\n",
      /sync\.initial_wait.*10s/,
    ],
    ["a URL that is none", "homeserver: { url: matrix.example.org }\n", /homeserver\.url.*http/],
  ])("%s", async (_name, yaml, message) => {
    await using at = await place();
    const config = await at.config(`${yaml}data_dir: ${at.folder}/data\n`);
    const result = await runProgram(["start", "-c", config]);
    expect(result).toMatchObject({ exitCode: 1, stdout: "" });
    expect(result.stderr).toMatch(message);
    expect(existsSync(join(at.folder, "data"))).toBe(false);
  });

  test("a database that cannot be reached", async () => {
    await using at = await place();
    const port = await freePort();
    const config = await at.config(
      `homeserver: { url: "${HOMESERVER}" }\ndatabase: { url: "postgresql://nobody@127.0.0.1:${port}/none" }\nsecret: s\n`,
    );
    const result = await runProgram(["start", "-c", config]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toContain("ECONNREFUSED");
    expect(oneLine(result.stderr)).toBe(true);
  });

  test("a database whose schema is newer than the program", async () => {
    await using at = await place();
    await using db = await openTestDatabase();
    await db.query({
      text: "INSERT INTO schema_migrations (version, name, checksum) VALUES (9999, '9999_later.sql', 'x')",
    });
    const config = await at.config(`homeserver: { url: "${HOMESERVER}" }\ndatabase: { url: "${db.url}" }\nsecret: s\n`);
    const result = await runProgram(["migrate", "-c", config]);
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/schema.*9999/);
    expect(oneLine(result.stderr)).toBe(true);
  });

  test("a secret that is not the one the database was used with", async () => {
    await using at = await place();
    await using db = await openTestDatabase();
    const yaml = async (secret: string) =>
      await at.config(
        `homeserver: { url: "${HOMESERVER}" }\ndatabase: { url: "${db.url}" }\nsecret: ${secret}\n` +
          `listeners: [{ port: ${await freePort()}, resources: [client, internal] }]\n`,
      );
    {
      await using first = startProgram(["start", "-c", await yaml("one")]);
      await until(() => first.output().includes('"msg":"ready"'), "the first start");
    }
    const second = await runProgram(["start", "-c", await yaml("two")]);
    expect(second.exitCode).toBe(1);
    expect(second.stderr).toMatch(/^slidecar: .*secret/);
    expect(second.stdout + second.stderr).not.toContain("two");
  });

  test("a port that another program has", async () => {
    await using at = await place();
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const listeners = `listeners:\n  - { port: 0, resources: [client] }\n  - { port: ${port}, resources: [internal] }\n`;
    const yaml = `homeserver: { url: "${HOMESERVER}" }\ndata_dir: ${at.folder}/data\n${listeners}`;
    const result = await runProgram(["start", "-c", await at.config(yaml)]);
    other.close();
    expect(result.exitCode).toBe(1);
    expect(result.stderr).toMatch(/listeners\[1\]\.port: \d+ .*already in use/);
    expect(oneLine(result.stderr)).toBe(true);
  });
});

test("wrong usage is exit code 2 with the help text", async () => {
  const result = await runProgram(["strat"]);
  expect(result.exitCode).toBe(2);
  expect(result.stderr).toContain("check-config");
});

test("check-config prints what is in force, with secrets masked", async () => {
  await using at = await place();
  const config = await at.config(`homeserver: { url: "${HOMESERVER}" }\nsecret: very-secret\n`);
  const result = await runProgram(["check-config", "-c", config], { SLIDECAR__SYNC__INITIAL_WAIT: "3s" });
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  expect(result.stdout).toContain("initial_wait: 3s");
  expect(result.stdout).not.toContain("very-secret");
});

test("starts with a database of its own, serves, brings an ended intake process back, and ends without a trace", async () => {
  await using at = await place();
  const port = await freePort();
  const config = await at.config(
    `homeserver: { url: "${HOMESERVER}" }\ndata_dir: ${at.folder}/data\nlisteners: [{ port: ${port}, resources: [client, internal] }]\n`,
  );
  const program = startProgram(["start", "-c", config]);
  try {
    await until(() => answers(`http://127.0.0.1:${port}/live`), "it is live");
    await until(() => answers(`http://127.0.0.1:${port}/ready`), "it is ready");
    const [intake] = await childrenOf(program.child.pid ?? 0, "intake-child");
    expect(intake).toBeDefined();
    process.kill(intake ?? 0, "SIGKILL");
    await until(async () => {
      const [next] = await childrenOf(program.child.pid ?? 0, "intake-child");
      return next !== undefined && next !== intake;
    }, "another intake process");
    await until(() => answers(`http://127.0.0.1:${port}/ready`), "it is ready again");
    const metrics = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    expect(metrics).toMatch(/^slidecar_intake_restarts_total 1$/m);
    expect(metrics).toMatch(/^slidecar_pollers 0$/m);
  } finally {
    program.child.kill("SIGTERM");
  }
  const result = await program.ended;
  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await childrenOf(program.child.pid ?? 0, "")).toEqual([]);
  expect(await processesWith(at.folder)).toEqual([]);
});

/** Processes whose parent is `pid` and whose command line has `text` in it. */
async function childrenOf(pid: number, text: string): Promise<readonly number[]> {
  return await processesWhere(async (entry) => {
    const stat = await readFile(`/proc/${entry}/stat`, "utf8");
    const parent = Number(stat.slice(stat.lastIndexOf(")") + 2).split(" ")[1]);
    return parent === pid && (await readFile(`/proc/${entry}/cmdline`, "utf8")).includes(text);
  });
}

const processesWith = (text: string): Promise<readonly number[]> =>
  processesWhere(async (entry) => (await readFile(`/proc/${entry}/cmdline`, "utf8")).includes(text));

async function processesWhere(holds: (entry: string) => Promise<boolean>): Promise<readonly number[]> {
  const entries = (await readdir("/proc")).filter((entry) => /^\d+$/.test(entry));
  const found = await Promise.all(entries.map((entry) => holds(entry).catch(() => false)));
  return entries.filter((_entry, index) => found[index]).map(Number);
}
