import { randomBytes } from "node:crypto";
import { link, mkdir, open, readFile, rename, rm } from "node:fs/promises";
import { join } from "node:path";
import { hasCode } from "./error-code.ts";
import { SecretError } from "./secrets.ts";

const SECRET_BYTES = 32;

/** The newest first. More: every position of a client that is not ours is held against more of them. Fewer: rotations soon after each other end connections. */
const MAX_FORMER = 5;

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

/** Secrets that were in the file `secret` of the data folder before, the newest first. Throws {@link SecretError}. */
export async function readFormerSecrets(dataDir: string): Promise<readonly string[]> {
  const file = formerFile(dataDir);
  try {
    return linesOf(await readFile(file, "utf8"));
  } catch (cause) {
    if (hasCode(cause, "ENOENT")) return [];
    throw new SecretError(`the former secrets in ${file} cannot be read (${String(cause)})`, { cause });
  }
}

/**
 * Puts a new secret in the place of the one in the data folder, which becomes a former one. That happens first, and each file
 * changes whole or not at all, so that whatever is in the database can be opened with what the folder holds at any moment.
 */
export async function replaceSecret(dataDir: string): Promise<void> {
  const present = await loadOrCreateSecret(dataDir);
  const earlier = (await readFormerSecrets(dataDir)).filter((each) => each !== present);
  const former = [present, ...earlier].slice(0, MAX_FORMER);
  await writeWhole(dataDir, formerFile(dataDir), `${former.join("\n")}\n`);
  await writeWhole(dataDir, join(dataDir, "secret"), `${newSecret()}\n`);
}

const formerFile = (dataDir: string) => join(dataDir, "former-secrets");

const newSecret = () => randomBytes(SECRET_BYTES).toString("hex");

const linesOf = (text: string): readonly string[] =>
  text
    .split("\n")
    .map((line) => line.trim())
    .filter((line) => line !== "");

async function writeWhole(folder: string, file: string, text: string): Promise<void> {
  const draft = draftOf(file);
  try {
    await writeDraft(draft, text);
    await rename(draft, file);
    await using handle = await open(folder);
    await handle.sync();
  } finally {
    await rm(draft, { force: true });
  }
}

const draftOf = (file: string) => `${file}.${randomBytes(4).toString("hex")}`;

async function writeDraft(draft: string, text: string): Promise<void> {
  await using handle = await open(draft, "wx", 0o600);
  await handle.writeFile(text);
  await handle.sync();
}

/** The file appears whole or not at all: stored tokens are lost with a secret that was cut off. */
async function createSecret(dataDir: string, file: string): Promise<string> {
  await mkdir(dataDir, { recursive: true });
  const secret = newSecret();
  const draft = draftOf(file);
  try {
    await writeDraft(draft, `${secret}\n`);
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
