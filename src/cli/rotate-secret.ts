import type { Config } from "../config/config.ts";
import { createLogger } from "../logging/logger.ts";
import { rotateTokens } from "../store/rotate-tokens.ts";
import { isRotating } from "../store/secret-canary.ts";
import { replaceSecret } from "../store/secret-file.ts";
import { createSecrets, SecretError } from "../store/secrets.ts";
import {
  connectTo,
  openServiceDatabase,
  prepareDatabase,
  type ServiceDatabase,
  secretsOf,
} from "./service-database.ts";

/**
 * Seals all stored tokens with another secret: a configured one, or one that is made new in the data folder. A rotation that was
 * broken off is brought to its end; no further secret is made for it.
 */
export async function runRotateSecret(config: Config, print: (line: string) => void): Promise<void> {
  const log = createLogger(config.logging);
  await using opened = await openServiceDatabase(config, log);
  await prepareDatabase(opened, log);
  const database = config.secret === undefined ? await withNewSecret(config, opened) : opened;
  if (database.formerSecrets.length === 0) {
    throw new SecretError(
      "there is no secret to rotate from: set the new one as `secret`, and the one until now in `former_secrets`",
    );
  }
  await using db = connectTo(database, log);
  const { sealed, unreadable } = await rotateTokens(db, createSecrets(database.secret, database.formerSecrets));
  print(`${sealed} tokens were sealed with the present secret`);
  if (unreadable > 0) {
    print(`${unreadable} tokens cannot be read with any of the secrets; their devices bring them again`);
  }
  print("former secrets are needed for clients' positions only: for 30 days, so that no client has to begin anew");
}

/** The database is ours alone: nobody else reads the folder between this and the end of the rotation. */
async function withNewSecret(config: Config, opened: ServiceDatabase): Promise<ServiceDatabase> {
  const log = createLogger(config.logging);
  await using db = connectTo(opened, log);
  if (await isRotating(db, createSecrets(opened.secret, opened.formerSecrets))) return opened;
  await replaceSecret(config.dataDir);
  const database = { ...opened, ...(await secretsOf(config)) };
  await prepareDatabase(database, log);
  return database;
}
