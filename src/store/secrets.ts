import {
  createCipheriv,
  createDecipheriv,
  createHmac,
  createSecretKey,
  hkdfSync,
  type KeyObject,
  randomBytes,
} from "node:crypto";

/** The secret is missing, unusable, or not the one that the database was written with. One line that says what mends it. */
export class SecretError extends Error {
  override readonly name = "SecretError";
}

/** All keys of the configured secret, and those of former ones, as far as what was made with them still counts. */
export interface Secrets {
  /** Names the key of `encryptToken` without telling it: the first bytes of whatever it sealed. */
  readonly keyId: Buffer;
  /** The same of former secrets. */
  readonly formerKeyIds: readonly Buffer[];
  encryptToken(plain: string): Buffer;
  /** Throws {@link SecretError} for what was sealed with neither this nor a former secret, or was changed since. */
  decryptToken(sealed: Buffer): string;
  /** Keyed, so that the database alone does not tell whether a guessed token is in it. */
  hashToken(plain: string): Buffer;
  /** Key of the MAC in `pos`. */
  readonly posKey: Buffer;
  /** Those of former secrets: a `pos` that was made with one of them counts. */
  readonly formerPosKeys: readonly Buffer[];
}

const KEY_BYTES = 32;
/** Enough to tell apart the few keys of one installation. */
const KEY_ID_BYTES = 4;
const CIPHER = "aes-256-gcm";
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Derives the keys. Whatever is made new is made with `secret`; former ones only open. */
export function createSecrets(secret: string, former: readonly string[] = []): Secrets {
  const current = keysOf(secret);
  const earlier = former.filter((each) => each !== secret).map(keysOf);
  const { keyId, tokenKey, hashKey, posKey } = current;
  return {
    keyId,
    formerKeyIds: earlier.map((each) => each.keyId),
    encryptToken: (plain) => seal(keyId, tokenKey, plain),
    decryptToken: (sealed) => open([current, ...earlier], sealed),
    hashToken: (plain) => createHmac("sha256", hashKey).update(plain).digest(),
    posKey,
    formerPosKeys: earlier.map((each) => each.posKey),
  };
}

interface Keys {
  readonly keyId: Buffer;
  readonly tokenKey: Buffer;
  readonly hashKey: KeyObject;
  readonly posKey: Buffer;
}

/**
 * HKDF with SHA-256 (RFC 5869). A sealed token is: key id, nonce, tag, ciphertext (AES-256-GCM with the key id as additional
 * data).
 */
function keysOf(secret: string): Keys {
  const derive = (use: string, length = KEY_BYTES) =>
    Buffer.from(hkdfSync("sha256", secret, "slidecar", `slidecar ${use} 1`, length));
  return {
    keyId: derive("token key id", KEY_ID_BYTES),
    tokenKey: derive("token encryption"),
    // Made once: it costs more than the hash.
    hashKey: createSecretKey(derive("token hash")),
    posKey: derive("pos"),
  };
}

function seal(keyId: Buffer, key: Buffer, plain: string): Buffer {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv(CIPHER, key, nonce, { authTagLength: TAG_BYTES }).setAAD(keyId);
  const text = Buffer.concat([cipher.update(plain, "utf8"), cipher.final()]);
  return Buffer.concat([keyId, nonce, cipher.getAuthTag(), text]);
}

/** Names the secret that a token was sealed with. */
const keyIdOf = (sealed: Buffer): Buffer => sealed.subarray(0, KEY_ID_BYTES);

function open(known: readonly Keys[], sealed: Buffer): string {
  const keys = known.find(({ keyId }) => keyId.equals(keyIdOf(sealed)));
  if (keys === undefined) {
    throw new SecretError("a stored token was sealed with another secret; set `secret` to the one it was sealed with");
  }
  const nonce = sealed.subarray(KEY_ID_BYTES, KEY_ID_BYTES + NONCE_BYTES);
  const tag = sealed.subarray(KEY_ID_BYTES + NONCE_BYTES, KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES);
  const text = sealed.subarray(KEY_ID_BYTES + NONCE_BYTES + TAG_BYTES);
  try {
    const decipher = createDecipheriv(CIPHER, keys.tokenKey, nonce, { authTagLength: TAG_BYTES })
      .setAAD(keys.keyId)
      .setAuthTag(tag);
    return Buffer.concat([decipher.update(text), decipher.final()]).toString("utf8");
  } catch (cause) {
    throw new SecretError("a stored token is damaged; the device has to log in again", { cause });
  }
}
