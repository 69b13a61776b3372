import type { Connect } from "./connect.ts";
import { DatabaseUnavailableError, typedError } from "./database-errors.ts";

/** First number of our two-number advisory locks. */
export const SESSION_LOCK_CLASS = 7304982;

/** An advisory lock that lasts as long as its connection. */
export interface SessionLock extends AsyncDisposable {
  /** Aborts when the connection is lost, and the lock with it, or when it was given back. Nobody takes it again. */
  readonly lost: AbortSignal;
}

/** `shared`: beside others that share it. `no-wait`: alone, if nobody has it now. */
export type LockMode = "alone" | "shared" | "no-wait";

const LOCK: Readonly<Record<LockMode, string>> = {
  alone: "SELECT true AS has FROM pg_advisory_lock($1, $2)",
  shared: "SELECT true AS has FROM pg_advisory_lock_shared($1, $2)",
  "no-wait": "SELECT pg_try_advisory_lock($1, $2) AS has",
};

/** Takes the lock `key` (a signed 32-bit integer); waits while another session has it. undefined: nobody was waited for. */
export async function openSessionLock(connect: Connect, key: number, mode: LockMode): Promise<SessionLock | undefined> {
  const client = await connect();
  const lost = new AbortController();
  client.on("error", (error) => lost.abort(new DatabaseUnavailableError(error.message, { cause: error })));
  client.on("end", () => lost.abort());
  const close = async () => {
    await client.end().catch(() => {});
  };
  try {
    const { rows } = await client.query<{ has: boolean }>(LOCK[mode], [SESSION_LOCK_CLASS, key]);
    if (rows[0]?.has !== true) {
      await close();
      return undefined;
    }
  } catch (error) {
    await close();
    throw typedError(error);
  }
  return { lost: lost.signal, [Symbol.asyncDispose]: close };
}
