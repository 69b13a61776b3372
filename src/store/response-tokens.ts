import type { Tx } from "./database.ts";

const INSERT_RESPONSE_TOKENS = `INSERT INTO response_tokens (batch, token) SELECT unnest($1::bigint[]), $2`;

/** Stores `next_batch` of the response that these batches came with: a token at or after all their events. */
export async function insertResponseTokens(tx: Tx, batches: readonly number[], token: string): Promise<void> {
  if (batches.length === 0) return;
  await tx.query({ name: "insert-response-tokens", text: INSERT_RESPONSE_TOKENS, values: [batches, token] });
}
