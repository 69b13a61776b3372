import type { Connect } from "./connect.ts";
import { DatabaseUnavailableError, typedError } from "./database-errors.ts";

/** First number of our two-number advisory locks. */
export const SESSION_LOCK_CLASS = 7304982;

/** An advisory lock that lasts as long as its connection. */
export interface SessionLock extends AsyncDisposable {
  /** Aborts when the connection is lost, and the lock with it, or when it was given back. Nobody takes it again. */
  readonly lost: AbortSignal;
}

/** Takes the lock `key` (a signed 32-bit integer); waits while another session has it. */
export async function openSessionLock(connect: Connect, key: number): Promise<SessionLock> {
  const client = await connect();
  const lost = new AbortController();
  client.on("error", (error) => lost.abort(new DatabaseUnavailableError(error.message, { cause: error })));
  client.on("end", () => lost.abort());
  const close = async () => {
    await client.end().catch(() => {});
  };
  try {
    await client.query("SELECT pg_advisory_lock($1, $2)", [SESSION_LOCK_CLASS, key]);
  } catch (error) {
    await close();
    throw typedError(error);
  }
  return { lost: lost.signal, [Symbol.asyncDispose]: close };
}
