import { Client, type ClientConfig } from "pg";
import { DatabaseUnavailableError, typedError } from "./database-errors.ts";
import { valueParsers } from "./value-parsers.ts";

/** How long a connect may take. Smaller: a database that just starts is given up; larger: an outage is noticed later. */
const CONNECT_TIMEOUT_MS = 10_000;
/**
 * How long a statement may take before its connection counts as dead (a network that swallows packets tells nothing).
 * Smaller: statements of bulk storage are cut off; larger: a request hangs for that long.
 */
const STATEMENT_TIMEOUT_MS = 120_000;
/** First TCP keepalive probe. Larger: firewalls forget idle connections. */
const KEEP_ALIVE_MS = 10_000;

/**
 * Our statements are short and find rows by keys that have an index. Compiling one would take ten times as long as running it,
 * and planning it anew for its values as long. Plans are kept: one that was made while the tables were empty would go on reading
 * them whole when they are large.
 */
const PLANNING = {
  jit: "off",
  enable_seqscan: "off",
  enable_hashjoin: "off",
  enable_mergejoin: "off",
  plan_cache_mode: "force_generic_plan",
};

/** Settings of every connection that we open, pooled or not. */
export const connectionSettings = (url: string): ClientConfig => ({
  connectionString: url,
  types: valueParsers,
  keepAlive: true,
  keepAliveInitialDelayMillis: KEEP_ALIVE_MS,
  query_timeout: STATEMENT_TIMEOUT_MS,
  fallback_application_name: "slidecar",
  options: Object.entries(PLANNING)
    .map(([name, value]) => `-c ${name}=${value}`)
    .join(" "),
});

/** Opens a connection that belongs to no pool. Rejects with `DatabaseUnavailableError` or the server's refusal. */
export type Connect = () => Promise<Client>;

export function connector(url: string, onError: (error: Error) => void): Connect {
  return async () => {
    const client = new Client({
      ...connectionSettings(url),
      connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
      // Waiting for a lock has no limit, so a statement has none.
      query_timeout: undefined,
    });
    // Without a listener the loss of an idle connection would end the program.
    client.on("error", (error) => onError(new DatabaseUnavailableError(error.message, { cause: error })));
    try {
      await client.connect();
    } catch (error) {
      client.end().catch(() => {});
      throw typedError(error);
    }
    return client;
  };
}
