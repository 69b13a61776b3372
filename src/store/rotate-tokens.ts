import type { Database } from "./database.ts";
import { forgetFormer } from "./secret-canary.ts";
import { SecretError, type Secrets } from "./secrets.ts";

/** Devices in one transaction. More: their clients' requests wait longer. Fewer: it takes longer. */
const BATCH = 500;

/** How often all is looked through. More: a process that still seals with a former secret is told of later. */
const MAX_ROUNDS = 5;

export interface Rotated {
  /** Tokens that were sealed anew. */
  readonly sealed: number;
  /** Tokens that no known secret opens. They stay as they are: their devices bring them again. */
  readonly unreadable: number;
}

/**
 * Seals every token with the present secret, and hashes it anew. May be ended at any moment and begun again: until all is done,
 * the database says that it needs the former secrets, too. Clients may come meanwhile with newer tokens, which stay.
 */
export async function rotateTokens(db: Database, secrets: Secrets): Promise<Rotated> {
  let sealed = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const found = await rotateOnce(db, secrets);
    sealed += found.sealed;
    if (found.sealed > 0) continue;
    await forgetFormer(db, secrets);
    return { sealed, unreadable: found.unreadable };
  }
  throw new SecretError(
    "a running Slidecar goes on sealing tokens with a former secret; start it anew with the present one, then repeat this",
  );
}

interface SealedRow {
  readonly device_nid: number;
  readonly token: Buffer;
}

const SELECT_SEALED = `
  SELECT device_nid, token FROM devices
   WHERE device_nid > $1 AND token IS NOT NULL AND substring(token FROM 1 FOR length($2::bytea)) <> $2
   ORDER BY device_nid LIMIT ${BATCH}`;

async function rotateOnce(db: Database, secrets: Secrets): Promise<Rotated> {
  let sealed = 0;
  let unreadable = 0;
  for (let after = 0; ; ) {
    const rows = await db.query<SealedRow>({ text: SELECT_SEALED, values: [after, secrets.keyId] });
    const last = rows.at(-1);
    if (last === undefined) return { sealed, unreadable };
    after = last.device_nid;
    const opened = rows.flatMap((row) => opens(secrets, row));
    unreadable += rows.length - opened.length;
    sealed += await reseal(db, secrets, opened);
  }
}

interface OpenedRow extends SealedRow {
  readonly plain: string;
}

function opens(secrets: Secrets, row: SealedRow): readonly OpenedRow[] {
  try {
    return [{ ...row, plain: secrets.decryptToken(row.token) }];
  } catch (error) {
    if (error instanceof SecretError) return [];
    throw error;
  }
}

// In the order of everybody who locks several devices.
const LOCK = "SELECT FROM devices WHERE device_nid = ANY($1::int[]) ORDER BY device_nid FOR NO KEY UPDATE";

const RESEAL = `
  UPDATE devices AS d SET token = n.token, token_hash = n.token_hash
    FROM unnest($1::int[], $2::bytea[], $3::bytea[], $4::bytea[]) AS n (device_nid, before, token, token_hash)
   WHERE d.device_nid = n.device_nid AND d.token = n.before
  RETURNING d.device_nid`;

async function reseal(db: Database, secrets: Secrets, rows: readonly OpenedRow[]): Promise<number> {
  if (rows.length === 0) return 0;
  const devices = rows.map(({ device_nid }) => device_nid);
  const values = [
    devices,
    rows.map(({ token }) => token),
    rows.map(({ plain }) => secrets.encryptToken(plain)),
    rows.map(({ plain }) => secrets.hashToken(plain)),
  ];
  return await db.transaction(async (tx) => {
    await tx.query({ text: LOCK, values: [devices] });
    return (await tx.query({ text: RESEAL, values })).length;
  });
}
