import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rm } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "./error-code.ts";
import { SecretError } from "./secrets.ts";

const SECRET_BYTES = 32;

/** Reads the secret in the file `secret` of the data folder; the first start makes one. Throws {@link SecretError}. */
export async function loadOrCreateSecret(dataDir: string): Promise<string> {
  const file = join(dataDir, "secret");
  try {
    return (await readSecret(file)) ?? (await createSecret(dataDir, file));
  } catch (cause) {
    if (cause instanceof SecretError) throw cause;
    throw new SecretError(`the secret in ${file} cannot be read or made (${String(cause)}); set \`secret\``, { cause });
  }
}

async function readSecret(file: string): Promise<string | undefined> {
  let text: string;
  try {
    text = await readFile(file, "utf8");
  } catch (error) {
    if (hasCode(error, "ENOENT")) return undefined;
    throw error;
  }
  const secret = text.trim();
  if (secret !== "") return secret;
  throw new SecretError(`${file} is empty; put the earlier secret back, or remove the file together with the database`);
}

/** The file appears whole or not at all: stored tokens are lost with a secret that was cut off. */
async function createSecret(dataDir: string, file: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const secret = randomBytes(SECRET_BYTES).toString("hex");
  const draft = `${file}.${randomBytes(4).toString("hex")}`;
  try {
    await using handle = await open(draft, "wx", 0o600);
    await handle.writeFile(`${secret}\n`);
    await handle.sync();
    await link(draft, file);
    return secret;
  } catch (error) {
    // Another program that started at the same time was first.
    const other = hasCode(error, "EEXIST") ? await readSecret(file) : undefined;
    if (other === undefined) throw error;
    return other;
  } finally {
    await rm(draft, { force: true });
  }
}
