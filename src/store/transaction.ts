import { setTimeout as pause } from "node:timers/promises";
import type { Pool, PoolClient } from "pg";
import { invariant } from "../lib/invariant.ts";
import { DatabaseUnavailableError, isContention, isOfFailedTransaction, typedError } from "./database-errors.ts";
import { type Query, runStatement } from "./statement.ts";

export interface TransactionMode {
  /** One snapshot for all reads; nothing can be written. */
  readonly snapshot?: boolean;
}

/** Runs a statement in the transaction. Unusable once the work has settled. */
type RunInTransaction = (query: Query) => Promise<Record<string, unknown>[]>;

/** How often a transaction is run again that lost against others. Larger: a hot spot costs more before it is noticed. */
const MAX_RERUNS = 3;
/**
 * Wait before the first rerun; each further one waits once more of it. Smaller: the rerun takes its locks again before the
 * winner has woken up, and loses again.
 */
const RERUN_PAUSE_MS = 20;

/**
 * The last statements of a transaction, which have been given and whose answers nobody has to wait for before COMMIT: it goes
 * with them, and takes effect only when all of them did.
 */
export interface Ending<T> {
  readonly last: Promise<T>;
}

/** See `Database.write`. The only place with BEGIN, COMMIT and ROLLBACK. */
export async function runTransaction<T>(
  pool: Pool,
  work: (run: RunInTransaction) => Promise<Ending<T>>,
  mode: TransactionMode,
): Promise<T> {
  for (let run = 0; ; run++) {
    try {
      return await runOnce(pool, work, mode);
    } catch (error) {
      if (!isContention(error)) throw error;
      if (run === MAX_RERUNS) {
        throw new DatabaseUnavailableError(`a transaction lost against others ${run + 1} times`, { cause: error });
      }
      await pause((run + 1) * RERUN_PAUSE_MS);
    }
  }
}

async function runOnce<T>(
  pool: Pool,
  work: (run: RunInTransaction) => Promise<Ending<T>>,
  mode: TransactionMode,
): Promise<T> {
  const client = await takeFrom(pool);
  let hasEnded = false;
  let firstFailure: unknown;
  const run: RunInTransaction = async (query) => {
    invariant(!hasEnded, "a transaction is not used after its end");
    try {
      return (await runStatement(client, query)).rows;
    } catch (error) {
      firstFailure ??= error;
      throw error;
    }
  };
  try {
    // Goes with the first statement. One that fails alone cannot be: it fails with its connection, as all that follows.
    const begun = runStatement(client, { text: begin(mode) });
    begun.catch(ignoreLoss);
    const { last } = await work(run);
    hasEnded = true;
    await begun;
    const result = await commitAfter(last, client);
    client.release();
    return result;
  } catch (error) {
    hasEnded = true;
    await rollBack(client, error);
    // Of statements that went together, those after the one that failed only say that one failed.
    throw isOfFailedTransaction(error) ? firstFailure : error;
  }
}

/** Nobody else listens to the errors of a client outside the pool; the query that meets the loss reports it. */
const ignoreLoss = () => {};

async function takeFrom(pool: Pool): Promise<PoolClient> {
  try {
    const client = await pool.connect();
    if (!client.listeners("error").includes(ignoreLoss)) client.on("error", ignoreLoss);
    return client;
  } catch (error) {
    throw typedError(error);
  }
}

const begin = ({ snapshot = false }: TransactionMode): string =>
  snapshot ? "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY" : "BEGIN";

async function commitAfter<T>(last: Promise<T>, client: PoolClient): Promise<T> {
  const committing = runStatement(client, { text: "COMMIT" });
  try {
    const [result, { command }] = await Promise.all([last, committing]);
    // The server answers COMMIT of a failed transaction with ROLLBACK and calls it a success.
    invariant(command === "COMMIT", "a transaction in which a statement failed is not committed");
    return result;
  } catch (error) {
    // Until it is answered nothing else may be sent.
    await committing.catch(ignoreLoss);
    if (!(error instanceof DatabaseUnavailableError)) throw error;
    throw new DatabaseUnavailableError(error.message, { cause: error, mayHaveCommitted: true });
  }
}

/** A client whose state is not known for sure is closed, never given back. */
async function rollBack(client: PoolClient, cause: unknown): Promise<void> {
  if (cause instanceof DatabaseUnavailableError) return client.release(true);
  try {
    await client.query("ROLLBACK");
  } catch {
    return client.release(true);
  }
  client.release();
}
