import { Pool } from "pg";
import { invariant } from "../lib/invariant.ts";
import { connectionSettings, connector } from "./connect.ts";
import { typedError } from "./database-errors.ts";
import { listen } from "./listen.ts";
import { openSessionLock, type SessionLock } from "./session-lock.ts";
import { NO_WAIT_FOR_DISK, type Query, runStatement } from "./statement.ts";
import { type Ending, runTransaction, type TransactionMode } from "./transaction.ts";

/**
 * Something that runs SQL. Rejects with `DatabaseUnavailableError` (transient), `DataError` (the values are refused), or
 * the driver's own error (wrong SQL: a bug).
 */
export interface Queryable {
  query<Row extends object>(query: Query): Promise<Row[]>;
}

declare const inTransaction: unique symbol;
/**
 * A running transaction. Unusable once its work has settled. Statements run in the order in which they were given, also
 * when one is given before the one before it has ended.
 */
export interface Tx extends Queryable {
  readonly [inTransaction]: true;
}

interface TransactionOptions extends TransactionMode {
  /**
   * Which connections it may use: live traffic has its own, so that bulk cannot hold it up. Default `bulk`; with
   * `snapshot`, `read`.
   */
  readonly lane?: Lane;
}
type Lane = "live" | "bulk" | "read";

export interface Database extends Queryable, AsyncDisposable {
  /**
   * Runs `work` between BEGIN and COMMIT. Serialization failures and deadlocks run it again, at most three times, so
   * `work` must have no effect but through `tx`.
   */
  transaction<T>(work: (tx: Tx) => Promise<T>, options?: TransactionOptions): Promise<T>;
  /** The same; COMMIT goes with the last statements instead of after their answers. */
  write<T>(work: (tx: Tx) => Promise<Ending<T>>, options?: TransactionOptions): Promise<T>;
  /**
   * LISTEN on a connection of its own, which reconnects; `onReconnect` comes after each connect, the first included, so
   * that the caller can catch up with what was sent in between. Rejects when the first connect fails.
   */
  listen(channel: string, onMessage: (payload: string) => void, onReconnect: () => void): Promise<AsyncDisposable>;
  notify(channel: string, payload: string): Promise<void>;
  /** Holds an advisory lock on a connection of its own; waits while another session has it. See {@link SessionLock}. */
  holdSessionLock(key: number, mode?: "alone" | "shared"): Promise<SessionLock>;
  /** The same without waiting; undefined: another session has it. */
  trySessionLock(key: number): Promise<SessionLock | undefined>;
}

interface DatabaseOptions {
  /** `postgresql://user:password@host/name`, or `postgresql://user@/name?host=/socket/folder`. */
  readonly url: string;
  /** Connections for transactions and queries; listeners and session locks come on top. */
  readonly poolSize: number;
  /** An idle or listening connection broke. It is replaced; nothing has to be done. */
  readonly onError: (error: Error) => void;
}

/** One connection for each lane. */
const MIN_POOL_SIZE = 3;
/** How long a query may wait for a free connection. Larger: callers notice an overload later; smaller: peaks fail. */
const WAIT_FOR_CONNECTION_MS: Readonly<Record<Lane, number>> = { live: 10_000, read: 10_000, bulk: 60_000 };

// Who listens may be told late or not at all: nobody waits for the disk, where all that was written since is flushed as well.
const NOTIFY = `SELECT pg_notify($1, $2) WHERE ${NO_WAIT_FOR_DISK}`;

/** Opens the pools. Connects on the first query only. */
export function openDatabase(options: DatabaseOptions): Database {
  const pools = openPools(options);
  const write: Database["write"] = (work, { lane, ...mode } = {}) => {
    const pool = pools[lane ?? (mode.snapshot === true ? "read" : "bulk")];
    // `Tx` says in types that a transaction runs; at run time it is its `query`.
    return runTransaction(pool, (query) => work({ query } as unknown as Tx), mode);
  };
  const connect = connector(options.url, options.onError);
  let closed: Promise<unknown> | undefined;
  return {
    query: async <Row extends object>(query: Query) => (await runStatement(pools.read, query)).rows as Row[],
    write,
    transaction: (work, mode) => write(async (tx) => ({ last: Promise.resolve(await work(tx)) }), mode),
    listen: (channel, onMessage, onReconnect) =>
      listen({ connect, channel, onMessage, onReconnect, onError: options.onError }),
    async notify(channel, payload) {
      await runStatement(pools.live, { name: "notify", text: NOTIFY, values: [channel, payload] });
    },
    async holdSessionLock(key, mode = "alone") {
      const lock = await openSessionLock(connect, key, mode);
      invariant(lock !== undefined, "a lock that is waited for is there");
      return lock;
    },
    trySessionLock: (key) => openSessionLock(connect, key, "no-wait"),
    async [Symbol.asyncDispose]() {
      closed ??= Promise.all(Object.values(pools).map((pool) => pool.end()));
      await closed;
    },
  };
}

function openPools({ url, poolSize, onError }: DatabaseOptions): Readonly<Record<Lane, Pool>> {
  const size = Math.max(MIN_POOL_SIZE, poolSize);
  const writers = Math.max(1, Math.floor(size / 4));
  const open = (lane: Lane, max: number) => {
    const pool = new Pool({
      ...connectionSettings(url),
      max,
      connectionTimeoutMillis: WAIT_FOR_CONNECTION_MS[lane],
      // None is closed for idleness: the next request would wait for a connect, and for each statement to be planned anew.
      idleTimeoutMillis: 0,
      // Statements of one transaction that do not wait for each other share a round trip.
      pipeline: lane !== "read",
    });
    pool.on("error", (error) => onError(typedError(error)));
    return pool;
  };
  return { live: open("live", writers), bulk: open("bulk", writers), read: open("read", size - 2 * writers) };
}
