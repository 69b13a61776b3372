import { watch } from "node:fs";
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { DeviceId, UserId } from "../../src/model/ids.ts";
import type { Database } from "../../src/store/database.ts";
import { seeDevice } from "../../src/store/devices.ts";
import { rotateTokens } from "../../src/store/rotate-tokens.ts";
import { checkCanary, isRotating } from "../../src/store/secret-canary.ts";
import { loadOrCreateSecret, readFormerSecrets, replaceSecret } from "../../src/store/secret-file.ts";
import { createSecrets, SecretError, type Secrets } from "../../src/store/secrets.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { list } from "../support/engine.ts";
import { runProgram, startProgram, until } from "../support/program.ts";
import { SyncWorld, TEST_SECRET } from "../support/sync-world.ts";

const old = createSecrets("the secret until now");
const both = createSecrets("the next secret", ["an older one", "the secret until now"]);
const next = createSecrets("the next secret");

let db: TestDatabase;
let folder: string;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), "slidecar-rotate-"));
  await db.query({ text: "TRUNCATE secret_canary, devices" });
  await checkCanary(db, old);
});

afterEach(async () => {
  await rm(folder, { recursive: true, force: true });
});

const see = (database: Database, secrets: Secrets, deviceId: string, token: string) =>
  seeDevice(database, {
    userId: "@alice:test" as UserId,
    deviceId: deviceId as DeviceId,
    sealToken: () => secrets.encryptToken(token),
    tokenHash: secrets.hashToken(token),
    forwardedFor: undefined,
    userAgent: undefined,
  });

const stored = () =>
  db.query<{ device_id: string; token: Buffer | null; token_hash: Buffer | null }>({
    text: "SELECT device_id, token, token_hash FROM devices ORDER BY device_id",
  });

async function makeDevices(count: number): Promise<void> {
  for (let n = 0; n < count; n++) await see(db, old, `D${n}`, `token ${n}`);
}

test("every token is sealed and hashed with the new secret, and the former one is needed no more", async () => {
  await makeDevices(3);
  await db.query({ text: "UPDATE devices SET token = NULL, token_hash = NULL WHERE device_id = 'D1'" });
  await checkCanary(db, both);
  expect(await rotateTokens(db, both)).toEqual({ sealed: 2, unreadable: 0 });
  await checkCanary(db, next);
  const [first, refused, last] = await stored();
  expect(next.decryptToken(first!.token!)).toBe("token 0");
  expect(next.hashToken("token 0").equals(first!.token_hash!)).toBe(true);
  expect(refused!.token).toBeNull();
  expect(next.decryptToken(last!.token!)).toBe("token 2");
  expect(await rotateTokens(db, both)).toEqual({ sealed: 0, unreadable: 0 });
  await expect(checkCanary(db, old)).rejects.toBeInstanceOf(SecretError);
});

test("until all is sealed anew, a start needs both secrets", async () => {
  await expect(checkCanary(db, next)).rejects.toThrow(/^the secret is not the one/);
  await checkCanary(db, both);
  expect(await isRotating(db, both)).toBe(true);
  for (const one of [next, old]) {
    const refused = checkCanary(db, one);
    await expect(refused).rejects.toBeInstanceOf(SecretError);
    await expect(refused).rejects.toThrow("name it in `former_secrets`");
  }
  await rotateTokens(db, both);
  expect(await isRotating(db, both)).toBe(false);
});

test("a former secret that never was one of this database is refused", async () => {
  const wrong = createSecrets("the next secret", ["not the one"]);
  await expect(checkCanary(db, wrong)).rejects.toThrow(/^the secret is not the one/);
  expect(await db.query({ text: "SELECT key_id FROM secret_canary" })).toEqual([{ key_id: old.keyId }]);
});

test("a rotation that breaks off anywhere can be started from, and goes on", async () => {
  await makeDevices(1_001);
  await checkCanary(db, both);
  let writes = 0;
  const breaking: Database = {
    ...db,
    transaction: (work, options) => {
      writes += 1;
      return writes === 2 ? Promise.reject(new Error("the process ended")) : db.transaction(work, options);
    },
  };
  await expect(rotateTokens(breaking, both)).rejects.toThrow("the process ended");
  await checkCanary(db, both);
  for (const { device_id, token } of await stored()) {
    expect(both.decryptToken(token!)).toBe(device_id.replace("D", "token "));
  }
  await expect(checkCanary(db, next)).rejects.toBeInstanceOf(SecretError);
  expect(await rotateTokens(db, both)).toEqual({ sealed: 501, unreadable: 0 });
  await checkCanary(db, next);
});

test("a token that a client brings meanwhile stays", async () => {
  await makeDevices(1);
  await checkCanary(db, both);
  const overtaken: Database = {
    ...db,
    transaction: async (work, options) => {
      await see(db, both, "D0", "newer");
      return await db.transaction(work, options);
    },
  };
  expect(await rotateTokens(overtaken, both)).toEqual({ sealed: 0, unreadable: 0 });
  const [device] = await stored();
  expect(next.decryptToken(device!.token!)).toBe("newer");
});

test("while a process goes on sealing with a former secret, that one stays known", async () => {
  await makeDevices(1);
  await checkCanary(db, both);
  const undone: Database = {
    ...db,
    transaction: async (work, options) => {
      const result = await db.transaction(work, options);
      await see(db, old, "D0", "token 0");
      return result;
    },
  };
  await expect(rotateTokens(undone, both)).rejects.toThrow("a running Slidecar goes on");
  expect(await isRotating(db, both)).toBe(true);
});

test("tokens that nobody can read are counted and stay as they are", async () => {
  await see(db, createSecrets("somebody else's"), "D0", "token");
  const [before] = await stored();
  await checkCanary(db, both);
  expect(await rotateTokens(db, both)).toEqual({ sealed: 0, unreadable: 1 });
  expect((await stored())[0]).toEqual(before);
});

test("the generated secret becomes a former one before there is another, and only its owner may read either", async () => {
  const first = await loadOrCreateSecret(folder);
  expect(await readFormerSecrets(folder)).toEqual([]);
  const order: string[] = [];
  const watcher = watch(folder, (_event, name) => order.push(String(name)));
  await replaceSecret(folder);
  await until(() => order.includes("secret"), "the files were seen to change");
  watcher.close();
  expect(order.indexOf("former-secrets")).toBeGreaterThanOrEqual(0);
  expect(order.indexOf("former-secrets")).toBeLessThan(order.indexOf("secret"));
  const second = await loadOrCreateSecret(folder);
  expect(second).not.toBe(first);
  expect(await readFormerSecrets(folder)).toEqual([first]);
  expect((await readdir(folder)).sort()).toEqual(["former-secrets", "secret"]);
  for (const name of ["former-secrets", "secret"]) expect((await stat(join(folder, name))).mode & 0o777).toBe(0o600);
  for (let n = 0; n < 6; n++) await replaceSecret(folder);
  const former = await readFormerSecrets(folder);
  expect(former).toHaveLength(5);
  expect(former).not.toContain(await loadOrCreateSecret(folder));
});

test("a client's position goes on to hold while the secret that it was made with is a former one", async () => {
  await using world = await SyncWorld.start(db);
  const alice = await world.stored.user("alice");
  await world.stored.store(alice, { join: { [world.stored.roomId()]: world.stored.newRoom([alice.userId]) } });
  await world.caughtUp();
  await world.poll(alice);
  const lists = new Map([["all", list([[0, 9]])]]);
  const first = await world.sync(alice, { lists });
  await world.restart(createSecrets("the next secret", [TEST_SECRET]));
  const second = await world.sync(alice, { lists, pos: first.pos });
  expect(second.response.rooms).toEqual([]);
  await world.restart(createSecrets("the next secret"));
  await expect(world.sync(alice, { lists, pos: first.pos })).rejects.toThrow("Unknown position");
});

const HOMESERVER = "http://127.0.0.1:9";

async function configOf(keys: object): Promise<string> {
  const path = join(folder, "config.yaml");
  await writeFile(path, JSON.stringify({ homeserver: { url: HOMESERVER }, ...keys }));
  return path;
}

test("the command rotates a configured secret, and says in a line what is missing for it", async () => {
  await makeDevices(1);
  const database = { url: db.url };
  const run = async (keys: object) => await runProgram(["rotate-secret", "-c", await configOf({ database, ...keys })]);
  const alone = await run({ secret: "the secret until now" });
  expect(alone).toMatchObject({ exitCode: 1, stdout: "" });
  expect(alone.stderr).toMatch(/^slidecar: there is no secret to rotate from: .*`former_secrets`\n$/);
  const wrong = await run({ secret: "the next secret", former_secrets: ["wrong"] });
  expect(wrong).toMatchObject({ exitCode: 1, stdout: "" });
  expect(wrong.stderr).toMatch(/^slidecar: the secret is not the one/);
  const rotated = await run({ secret: "the next secret", former_secrets: ["the secret until now"] });
  expect(rotated).toMatchObject({ exitCode: 0, stderr: "" });
  expect(rotated.stdout).toContain("1 tokens were sealed with the present secret\n");
  expect(rotated.stdout).not.toContain("next");
  await checkCanary(db, next);
});

test("the command replaces a generated secret, unless a rotation was broken off, and not under a running service", async () => {
  const data_dir = join(folder, "data");
  const config = await configOf({ data_dir, listeners: [{ port: 0, resources: ["client"] }] });
  {
    await using service = startProgram(["start", "-c", config]);
    await until(() => service.output().includes('"msg":"ready"'), "it runs");
    const refused = await runProgram(["rotate-secret", "-c", config]);
    expect(refused).toMatchObject({ exitCode: 1, stdout: "" });
    expect(refused.stderr).toContain("another Slidecar uses");
  }
  const first = await readFile(join(data_dir, "secret"), "utf8");
  expect(await runProgram(["rotate-secret", "-c", config])).toMatchObject({ exitCode: 0, stderr: "" });
  const second = await readFile(join(data_dir, "secret"), "utf8");
  expect(second).not.toBe(first);
  // As after a kill between the files and the tokens.
  await replaceSecret(data_dir);
  const third = await readFile(join(data_dir, "secret"), "utf8");
  expect(await runProgram(["migrate", "-c", config])).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await runProgram(["rotate-secret", "-c", config])).toMatchObject({ exitCode: 0, stderr: "" });
  expect(await readFile(join(data_dir, "secret"), "utf8")).toBe(third);
  await rm(join(data_dir, "former-secrets"));
  expect(await runProgram(["migrate", "-c", config])).toMatchObject({ exitCode: 0, stderr: "" });
}, 120_000);
