import { mkdtemp, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { exportLedger } from "../../src/store/ledger-export.ts";
import { checkCanary } from "../../src/store/secret-canary.ts";
import { createSecrets } from "../../src/store/secrets.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { IntakeStage } from "../support/intake-stage.ts";
import { freePort, runProgram, startProgram, until } from "../support/program.ts";
import { ALICE } from "../support/v2-events.ts";

const AT = new Date("2026-01-02T03:04:05.678Z");

let db: TestDatabase;
let stage: IntakeStage;
let folder: string;

beforeEach(async () => {
  db = await openTestDatabase();
  stage = new IntakeStage(db);
  folder = await mkdtemp(join(tmpdir(), "slidecar-export-"));
});

afterEach(async () => {
  await db[Symbol.asyncDispose]();
  await rm(folder, { recursive: true, force: true });
});

type LedgerRecord = Record<string, unknown> & { readonly record: string };

const parsed = (text: string): readonly LedgerRecord[] => {
  expect(text.endsWith("\n")).toBe(true);
  return text
    .slice(0, -1)
    .split("\n")
    .map((line) => JSON.parse(line) as LedgerRecord);
};

async function exported(onLine: (line: string) => Promise<void> = async () => {}): Promise<readonly LedgerRecord[]> {
  let text = "";
  const count = await exportLedger(db, AT, async (line) => {
    text += line;
    await onLine(line);
  });
  const records = parsed(text);
  expect(records).toHaveLength(count);
  return records;
}

const ofKind = (records: readonly LedgerRecord[], kind: string) => records.filter(({ record }) => record === kind);

test("each record of the ledger is a line, and nothing else is", async () => {
  await checkCanary(db, createSecrets("a secret"));
  const device = await stage.device(ALICE);
  await stage.respond(device, {
    to_device: { events: [1, 2].map((n) => ({ type: "m.test", sender: ALICE, content: { n } })) },
    device_lists: { changed: ["@b:test"], left: ["@c:test"] },
    device_one_time_keys_count: { signed_curve25519: 50 },
    account_data: { events: [{ type: "org.example.cache", content: {} }] },
  });
  const records = await exported();
  const [{ position }] = (await db.query<{ position: number }>({ text: "SELECT position FROM stream_head" })) as [
    { position: number },
  ];
  expect(records[0]).toEqual({
    record: "ledger",
    format: 1,
    at: AT.toISOString(),
    schema: expect.any(Number),
    stream_position: position,
  });
  expect(ofKind(records, "secret")).toEqual([
    { record: "secret", key_id: createSecrets("a secret").keyId.toString("hex"), sealed: expect.any(String) },
  ]);
  const name = { user_id: ALICE, device_id: "PHONE" };
  expect(ofKind(records, "device")).toEqual([
    {
      record: "device",
      ...name,
      since: device.since,
      token: Buffer.from("sealed").toString("hex"),
      token_hash: Buffer.from("hash").toString("hex"),
      wanted_at: expect.stringMatching(/^\d{4}-.*Z$/),
      one_time_keys: { signed_curve25519: 50 },
      fallback_keys: null,
    },
  ]);
  const messages = ofKind(records, "to_device_message");
  expect(messages).toEqual(
    [1, 2].map((n) => ({
      record: "to_device_message",
      ...name,
      sequence: expect.any(Number),
      message: { type: "m.test", sender: ALICE, content: { n } },
    })),
  );
  expect(ofKind(records, "to_device_head")).toEqual([
    { record: "to_device_head", ...name, sequence: messages[1]!.sequence },
  ]);
  const change = { record: "device_list_change", ...name, position: expect.any(Number) };
  expect(ofKind(records, "device_list_change")).toEqual([
    { ...change, about: "@b:test", has_left: false },
    { ...change, about: "@c:test", has_left: true },
  ]);
  expect(records.at(-1)).toEqual({ record: "end", records: records.length });
  expect(JSON.stringify(records)).not.toContain("org.example.cache");
});

test("a message that was sent over several lines is on one, and unchanged", async () => {
  const device = await stage.device(ALICE);
  const body =
    '{"next_batch":"s1","to_device":{"events":[{\n"type":"m.test",\r\n"sender":"@a:test","content":{"n":1.50,"s":"a\\nb"}}]}}';
  const intake = stage.intake(device);
  await intake.write(Buffer.from(body));
  await intake.end();
  let text = "";
  await exportLedger(db, AT, async (line) => {
    text += line;
  });
  const [line = ""] = text.split("\n").filter((each) => each.includes("to_device_message"));
  expect(line).toContain('"content":{"n":1.50,"s":"a\\nb"}');
  expect(JSON.parse(line)).toMatchObject({ message: { content: { n: 1.5, s: "a\nb" } } });
});

test("more messages than are read at a time come in order, each once", async () => {
  const events = Array.from({ length: 1_001 }, (_, n) => ({ type: "m.test", sender: ALICE, content: { n } }));
  for (const name of ["ONE", "TWO"]) await stage.respond(await stage.device(ALICE, name), { to_device: { events } });
  const told = ofKind(await exported(), "to_device_message").map(
    ({ device_id, message }) => `${device_id} ${(message as (typeof events)[0]).content.n}`,
  );
  expect(told).toEqual(["ONE", "TWO"].flatMap((name) => events.map(({ content }) => `${name} ${content.n}`)));
});

test("what is stored meanwhile is not in it, and what goes meanwhile is", async () => {
  const device = await stage.device(ALICE);
  const tell = (n: number) =>
    stage.respond(device, { to_device: { events: [{ type: "m.test", sender: ALICE, content: { n } }] } });
  await tell(1);
  const since = device.since;
  let isChanged = false;
  const records = await exported(async () => {
    if (isChanged) return;
    isChanged = true;
    await db.query({ text: "DELETE FROM to_device_messages" });
    await tell(2);
  });
  expect(ofKind(records, "to_device_message")).toMatchObject([{ message: { content: { n: 1 } } }]);
  expect(ofKind(records, "device")).toMatchObject([{ since }]);
});

async function configOf(keys: object): Promise<string> {
  const path = join(folder, "config.yaml");
  await writeFile(path, JSON.stringify({ homeserver: { url: "http://127.0.0.1:9" }, ...keys }));
  return path;
}

test("the command writes to standard output, or to a new file that its owner alone may read", async () => {
  const config = await configOf({ database: { url: db.url }, secret: "s" });
  const output = join(folder, "ledger.jsonl");
  const printed = await runProgram(["export-ledger", "-c", config]);
  expect(printed).toMatchObject({ exitCode: 0, stderr: "" });
  expect(parsed(printed.stdout).map(({ record }) => record)).toEqual(["ledger", "end"]);
  const written = await runProgram(["export-ledger", "-c", config, "--output", output]);
  expect(written).toEqual({ exitCode: 0, stderr: "", stdout: `2 records are in ${output}\n` });
  expect(parsed(await readFile(output, "utf8"))).toHaveLength(2);
  expect((await stat(output)).mode & 0o777).toBe(0o600);
  const again = await runProgram(["export-ledger", "-c", config, "--output", output]);
  expect(again).toMatchObject({ exitCode: 1, stdout: "" });
  expect(again.stderr).toContain("EEXIST");
  await db.query({
    text: "DELETE FROM schema_migrations WHERE version = (SELECT max(version) FROM schema_migrations)",
  });
  const older = await runProgram(["export-ledger", "-c", config, "--output", join(folder, "other")]);
  expect(older).toMatchObject({ exitCode: 1, stdout: "" });
  expect(older.stderr).toMatch(/^slidecar: the database has not yet the schema/);
});

test("the command reads an embedded database while the service runs, when it does not, and makes none", async () => {
  const data_dir = join(folder, "data");
  const listeners = [{ port: await freePort(), resources: ["client"] }];
  const config = await configOf({ data_dir, listeners });
  const nowhere = await runProgram(["export-ledger", "-c", config]);
  expect(nowhere).toMatchObject({ exitCode: 1, stdout: "" });
  expect(nowhere.stderr).toMatch(/^slidecar: there is no database in /);
  const kinds = async () => {
    const result = await runProgram(["export-ledger", "-c", config]);
    expect(result).toMatchObject({ exitCode: 0, stderr: "" });
    return parsed(result.stdout).map(({ record }) => record);
  };
  {
    await using service = startProgram(["start", "-c", config]);
    await until(() => service.output().includes('"msg":"ready"'), "it runs");
    expect(await kinds()).toEqual(["ledger", "secret", "end"]);
    expect(service.child.exitCode).toBeNull();
  }
  expect(await kinds()).toEqual(["ledger", "secret", "end"]);
}, 60_000);
