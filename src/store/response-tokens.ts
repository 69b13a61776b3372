import type { Tx } from "./database.ts";

const INSERT_RESPONSE_TOKENS = `
  INSERT INTO response_tokens (batch, token) SELECT * FROM unnest($1::bigint[], $2::text[])`;

/** `next_batch` of the response that a batch came with: a token at or after all its events. */
export interface ResponseToken {
  readonly batch: number;
  readonly token: string;
}

export async function insertResponseTokens(tx: Tx, tokens: readonly ResponseToken[]): Promise<void> {
  if (tokens.length === 0) return;
  const values = [tokens.map(({ batch }) => batch), tokens.map(({ token }) => token)];
  await tx.query({ name: "insert-response-tokens", text: INSERT_RESPONSE_TOKENS, values });
}
