import { types } from "node:util";
import { DatabaseError } from "pg";
import { InvariantError } from "../lib/invariant.ts";

/** The database cannot be reached or cannot serve now. Transient: the same call may succeed later. */
export class DatabaseUnavailableError extends Error {
  override readonly name = "DatabaseUnavailableError";
  /** The connection was lost while a COMMIT was under way: the transaction may have taken effect. */
  readonly mayHaveCommitted: boolean;

  constructor(message: string, options: { cause?: unknown; mayHaveCommitted?: boolean } = {}) {
    super(message, { cause: options.cause });
    this.mayHaveCommitted = options.mayHaveCommitted ?? false;
  }
}

/** The database refuses the values themselves (SQLSTATE class 22, 23 or 54): a retry with the same values cannot help. */
export class DataError extends Error {
  override readonly name = "DataError";
  /** SQLSTATE */
  readonly code: string;
  readonly constraint: string | undefined;

  constructor(cause: DatabaseError, code: string) {
    super(cause.message, { cause });
    this.code = code;
    this.constraint = cause.constraint;
  }
}

// SQLSTATE classes, PostgreSQL manual appendix A. 54 is a value that is larger than a page of an index, or the like.
const DATA_CLASSES: ReadonlySet<string> = new Set(["22", "23", "54"]);
/** Connection exception, insufficient resources, operator intervention, system error. */
const TRANSIENT_CLASSES: ReadonlySet<string> = new Set(["08", "53", "57", "58"]);
const QUERY_CANCELED = "57014";
/** A server that was demoted to a standby while we were connected to it. */
const READ_ONLY = "25006";

const sqlState = (error: unknown): string | undefined => (error instanceof DatabaseError ? error.code : undefined);

/** Whether another run of the whole transaction may succeed at once: serialization failure or deadlock. */
export function isContention(error: unknown): boolean {
  const code = sqlState(error);
  return code === "40001" || code === "40P01";
}

/** Whether a statement was refused because one before it in its transaction failed. */
export const isOfFailedTransaction = (error: unknown): boolean => sqlState(error) === "25P02";

/**
 * Gives an error of the driver its kind. Errors that are a bug of ours (wrong SQL, a broken invariant) stay what they are.
 * The driver marks errors of the server with a SQLSTATE; what it throws without one is about the connection.
 */
export function typedError(error: unknown): Error {
  if (error instanceof DatabaseUnavailableError || error instanceof DataError) return error;
  if (error instanceof InvariantError || error instanceof TypeError) return error;
  const message = messageOf(error);
  if (!(error instanceof DatabaseError)) return new DatabaseUnavailableError(message, { cause: error });
  const code = error.code ?? "";
  const codeClass = code.slice(0, 2);
  if (DATA_CLASSES.has(codeClass)) return new DataError(error, code);
  const isTransient = (TRANSIENT_CLASSES.has(codeClass) && code !== QUERY_CANCELED) || code === READ_ONLY;
  return isTransient ? new DatabaseUnavailableError(message, { cause: error }) : error;
}

function messageOf(error: unknown): string {
  if (!types.isNativeError(error)) return String(error);
  // A host name with several addresses fails as an AggregateError without a message of its own.
  if ("errors" in error && Array.isArray(error.errors)) return error.errors.map(messageOf).join("; ");
  return error.message;
}
