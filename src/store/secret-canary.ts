import type { Database, Queryable } from "./database.ts";
import { SecretError, type Secrets } from "./secrets.ts";

const CANARY = "slidecar";

/**
 * Makes sure that the secrets open whatever this database holds: there is one mark for each secret that tokens are sealed with.
 * The first start with a secret leaves its mark, and {@link forgetFormer} takes those away that nothing is sealed with any more.
 * Throws {@link SecretError} for a mark of another secret.
 */
export async function checkCanary(db: Database, secrets: Secrets): Promise<void> {
  await db.transaction(async (tx) => {
    // Of programs that start together with different secrets only the first may leave its mark.
    await tx.query({ text: "LOCK TABLE secret_canary IN SHARE ROW EXCLUSIVE MODE" });
    const marks = await tx.query<Mark>({ text: "SELECT key_id, sealed FROM secret_canary" });
    const closed = marks.filter(({ sealed }) => !isCanary(secrets, sealed));
    if (closed.length > 0) throw new SecretError(closed.length === marks.length ? OTHER : FURTHER);
    if (marks.some(({ key_id }) => key_id.equals(secrets.keyId))) return;
    await tx.query({
      text: "INSERT INTO secret_canary (key_id, sealed) VALUES ($1, $2)",
      values: [secrets.keyId, secrets.encryptToken(CANARY)],
    });
  });
}

interface Mark {
  readonly key_id: Buffer;
  readonly sealed: Buffer;
}

const OTHER =
  "the secret is not the one that this database was written with; set `secret` (with the embedded database: the file " +
  "`secret` in data_dir) to the earlier one, or name the earlier one in `former_secrets`";

const FURTHER =
  "some of what is in this database is sealed with one more secret; name it in `former_secrets` until `slidecar " +
  "rotate-secret` has ended";

/** Whether something in the database may be sealed with a former secret. */
export async function isRotating(db: Queryable, secrets: Secrets): Promise<boolean> {
  const text = "SELECT FROM secret_canary WHERE key_id <> $1 LIMIT 1";
  return (await db.query({ text, values: [secrets.keyId] })).length > 0;
}

/** Nothing is sealed with former secrets any more: later starts need only the present one. */
export async function forgetFormer(db: Queryable, secrets: Secrets): Promise<void> {
  await db.query({ text: "DELETE FROM secret_canary WHERE key_id <> $1", values: [secrets.keyId] });
}

function isCanary(secrets: Secrets, sealed: Buffer): boolean {
  try {
    return secrets.decryptToken(sealed) === CANARY;
  } catch {
    return false;
  }
}
