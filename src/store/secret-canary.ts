import type { Database } from "./database.ts";
import { SecretError, type Secrets } from "./secrets.ts";

const CANARY = "slidecar";

/**
 * Makes sure that the secret is the one that the tokens of this database are sealed with. The first start leaves the mark
 * that later starts are checked against. Throws {@link SecretError} for another secret.
 */
export async function checkCanary(db: Database, secrets: Secrets): Promise<void> {
  await db.transaction(async (tx) => {
    // Of programs that start together with different secrets only the first may leave its mark.
    await tx.query({ text: "LOCK TABLE secret_canary IN SHARE ROW EXCLUSIVE MODE" });
    const marks = await tx.query<{ key_id: Buffer; sealed: Buffer }>({
      text: "SELECT key_id, sealed FROM secret_canary",
    });
    if (marks.length === 0) {
      await tx.query({
        text: "INSERT INTO secret_canary (key_id, sealed) VALUES ($1, $2)",
        values: [secrets.keyId, secrets.encryptToken(CANARY)],
      });
      return;
    }
    const mark = marks.find(({ key_id }) => key_id.equals(secrets.keyId));
    if (mark !== undefined && isCanary(secrets, mark.sealed)) return;
    throw new SecretError(
      "the secret is not the one that this database was written with; set `secret` (with the embedded database: the file " +
        "`secret` in data_dir) to the earlier one",
    );
  });
}

function isCanary(secrets: Secrets, sealed: Buffer): boolean {
  try {
    return secrets.decryptToken(sealed) === CANARY;
  } catch {
    return false;
  }
}
