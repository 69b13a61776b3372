import type { QueryConfig, QueryResult } from "pg";
import { arrayLiteral } from "./array-literal.ts";
import { typedError } from "./database-errors.ts";

/** One SQL statement with its values. */
export interface Query {
  /** Name of a prepared statement: the same name always goes with the same text. */
  readonly name?: string;
  readonly text: string;
  readonly values?: readonly unknown[];
  /** How long it may take before its connection counts as dead; default: the time that all statements have. */
  readonly timeoutMs?: number;
}

/**
 * A condition that always holds: the transaction commits without waiting for the disk. As something to select from, it would cost
 * a short statement a tenth of its time.
 */
export const NO_WAIT_FOR_DISK = "set_config('synchronous_commit', 'off', true) = 'off'";

interface Connection {
  query(config: QueryConfig): Promise<QueryResult<Record<string, unknown>>>;
}

/** Runs one statement on a connection or a pool. Errors get their kind, see {@link typedError}. */
export async function runStatement(connection: Connection, { name, text, values, timeoutMs }: Query) {
  try {
    return await connection.query({
      text,
      ...(name !== undefined && { name }),
      ...(values !== undefined && {
        values: values.map((value) => (Array.isArray(value) ? arrayLiteral(value) : value)),
      }),
      // Known to the driver, not to its types.
      ...(timeoutMs !== undefined && { query_timeout: timeoutMs }),
    });
  } catch (error) {
    throw typedError(error);
  }
}
