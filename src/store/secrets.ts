import { createCipheriv, createDecipheriv, createHmac, createSecretKey, hkdfSync, randomBytes } from "node:crypto";

/** The secret is missing, unusable, or not the one that the database was written with. One line that says what mends it. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

/** All keys of one configured secret. */
export interface Secrets {
  /** Names the key of `encryptToken` without telling it: the first bytes of whatever it sealed. */
  readonly keyId: Buffer;
  encryptToken(plain: string): Buffer;
  /** Throws {@link SecretError} for what was not sealed with this secret, or was changed since. */
  decryptToken(sealed: Buffer): string;
  /** Keyed, so that the database alone does not tell whether a guessed token is in it. */
  hashToken(plain: string): Buffer;
  /** Key of the MAC in `pos`. */
  readonly posKey: Buffer;
}

const KEY_BYTES = 32;
/** Enough to tell apart the few keys of one installation. */
const KEY_ID_BYTES = 4;
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/**
 * Derives the keys (HKDF with SHA-256, RFC 5869). A sealed token is: key id, nonce, tag, ciphertext (AES-256-GCM with the
 * key id as additional data).
 */
export function createSecrets(secret: string): Secrets {
  const derive = (use: string, length = KEY_BYTES) =>
    Buffer.from(hkdfSync("sha256", secret, "slidecar", `slidecar ${use} 1`, length));
  const keyId = derive("token key id", KEY_ID_BYTES);
  const tokenKey = derive("token encryption");
  // Made once: it costs more than the hash.
  const hashKey = createSecretKey(derive("token hash"));
  return {
    keyId,
    encryptToken: (plain) => seal(keyId, tokenKey, plain),
    decryptToken: (sealed) => open(keyId, tokenKey, sealed),
    hashToken: (plain) => createHmac("sha256", hashKey).update(plain).digest(),
    posKey: derive("pos"),
  };
}

function seal(keyId: Buffer, key: Buffer, plain: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(keyId);
  const text = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
  return Buffer.concat([keyId, nonce, cipher.getAuthTag(), text]);
}

function open(keyId: Buffer, key: Buffer, sealed: Buffer): string {
  if (!sealed.subarray(0, KEY_ID_BYTES).equals(keyId)) {
    throw new SecretError("a stored token was sealed with another secret; set `secret` to the one it was sealed with");
  }
  const nonce = sealed.subarray(KEY_ID_BYTES, KEY_ID_BYTES + NONCE_BYTES);
  const tag = sealed.subarray(KEY_ID_BYTES + NONCE_BYTES, KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES);
  const text = sealed.subarray(KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES);
  try {
    const decipher = createDecipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(keyId).setAuthTag(tag);
    return Buffer.concat([decipher.update(text), decipher.final()]).toString("utf8");
  } catch (cause) {
    throw new SecretError("a stored token is damaged; the device has to log in again", { cause });
  }
}
