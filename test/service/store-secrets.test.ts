import { mkdtemp, readdir, readFile, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "@jest/globals";
import { checkCanary } from "../../src/store/secret-canary.ts";
import { loadOrCreateSecret } from "../../src/store/secret-file.ts";
import { createSecrets, SecretError } from "../../src/store/secrets.ts";
import { openTestDatabase } from "../support/database.ts";

let root: string;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), "slidecar-secret-"));
});

afterEach(async () => {
  await rm(root, { recursive: true, force: true });
});

const one = createSecrets("a secret that is long enough");
const other = createSecrets("a secret that is long enough too");

test("a sealed token opens with the same secret, in any process", () => {
  const again = createSecrets("a secret that is long enough");
  for (const token of ["", "syt_YWxpY2U_abc", "mat_ünïcödé 😀", "x".repeat(10_000)]) {
    expect(again.decryptToken(one.encryptToken(token))).toBe(token);
  }
});

test("a token looks different each time that it is sealed, and nothing of it shows", () => {
  const [first, second] = [one.encryptToken("syt_token"), one.encryptToken("syt_token")];
  expect(first.equals(second)).toBe(false);
  expect(first.includes("syt")).toBe(false);
});

test("a sealed token begins with the id of its key, which differs between secrets", () => {
  expect(one.encryptToken("t").subarray(0, one.keyId.length).equals(one.keyId)).toBe(true);
  expect(one.keyId.equals(other.keyId)).toBe(false);
});

test("a token that another secret sealed does not open", () => {
  expect(() => other.decryptToken(one.encryptToken("t"))).toThrow(SecretError);
  expect(() => other.decryptToken(one.encryptToken("t"))).toThrow("sealed with another secret");
});

test("a token of which any byte was changed or cut off does not open", () => {
  const sealed = one.encryptToken("syt_token");
  for (let index = 0; index < sealed.length; index++) {
    const changed = Buffer.from(sealed);
    changed[index]! ^= 1;
    expect(() => one.decryptToken(changed)).toThrow(SecretError);
    expect(() => one.decryptToken(sealed.subarray(0, index))).toThrow(SecretError);
  }
});

test("the hash of a token is the same each time and depends on the secret", () => {
  expect(one.hashToken("t").equals(createSecrets("a secret that is long enough").hashToken("t"))).toBe(true);
  expect(one.hashToken("t").equals(one.hashToken("u"))).toBe(false);
  expect(one.hashToken("t").equals(other.hashToken("t"))).toBe(false);
});

test("the keys never change for a given secret: stored tokens and positions of clients depend on them", () => {
  expect(one.keyId.toString("hex")).toBe("fe7ea858");
  expect(one.posKey.toString("hex")).toBe("f8f688c363382677df23fdcc306c79cea6dbe1c78702d0389bbf66de1b3ea5c3");
  expect(one.hashToken("t").toString("hex")).toBe("608dd5f86e2d0f98020b44a183b296faa93a85d7db8aaea973fad6f7f0104508");
  expect(
    one.decryptToken(
      Buffer.from("fe7ea858adbca582c54b3561cdae0493891f7ab40f87d335bb240e5d9e305e2f67fccfc2f90b62e86f", "hex"),
    ),
  ).toBe("syt_token");
});

test("the secret that a database was written with is taken, another is not", async () => {
  await using db = await openTestDatabase();
  await checkCanary(db, one);
  await checkCanary(db, one);
  const refused = checkCanary(db, other);
  await expect(refused).rejects.toBeInstanceOf(SecretError);
  await expect(refused).rejects.toThrow(/^the secret is not the one that this database was written with; set `secret`/);
  expect(await db.query({ text: "SELECT key_id FROM secret_canary" })).toEqual([{ key_id: one.keyId }]);
});

test("of programs that start together with different secrets on a new database one secret is taken", async () => {
  await using db = await openTestDatabase();
  const outcomes = await Promise.allSettled([one, other, one, other].map((secrets) => checkCanary(db, secrets)));
  expect(outcomes.filter(({ status }) => status === "rejected")).toHaveLength(2);
  expect(await db.query({ text: "SELECT key_id FROM secret_canary" })).toHaveLength(1);
});

test("a secret is made once, and only its owner may read it", async () => {
  const folder = join(root, "data");
  const secret = await loadOrCreateSecret(folder);
  expect(secret).toMatch(/^[0-9a-f]{64}$/);
  expect(await loadOrCreateSecret(folder)).toBe(secret);
  expect((await stat(join(folder, "secret"))).mode & 0o777).toBe(0o600);
  expect(await readdir(folder)).toEqual(["secret"]);
});

test("programs that start together get the same secret", async () => {
  const secrets = await Promise.all([1, 2, 3, 4].map(() => loadOrCreateSecret(root)));
  expect(new Set(secrets).size).toBe(1);
  expect(await readdir(root)).toEqual(["secret"]);
});

test("a secret that was put there is used without the line break at its end", async () => {
  await writeFile(join(root, "secret"), "swordfish\n");
  expect(await loadOrCreateSecret(root)).toBe("swordfish");
});

test("an empty file is no secret and is not written over", async () => {
  await writeFile(join(root, "secret"), "\n");
  await expect(loadOrCreateSecret(root)).rejects.toBeInstanceOf(SecretError);
  expect(await readFile(join(root, "secret"), "utf8")).toBe("\n");
});

test("a folder in which nothing can be made is named", async () => {
  await writeFile(join(root, "file"), "");
  await expect(loadOrCreateSecret(join(root, "file"))).rejects.toThrow(
    `the secret in ${join(root, "file", "secret")} cannot be`,
  );
});
