import { dump } from "js-yaml";
import type { Config, ListenerConfig } from "./config.ts";
import { formatDuration, formatSize } from "./quantities.ts";

const MASK = "********";

/**
 * The configuration as a file would hold it, for an operator to look at. Secrets are masked as a whole: a database URL
 * cannot be cut safely, since its password may hold any character.
 */
export function printConfig(config: Config): string {
  const { homeserver, database, client, sync, polling } = config;
  const tree = {
    homeserver: { url: homeserver.url, ...(homeserver.serverName && { server_name: homeserver.serverName }) },
    database: { ...(database.kind === "external" && { url: MASK }), pool_size: database.poolSize },
    ...(config.secret !== undefined && { secret: MASK }),
    ...(config.formerSecrets.length > 0 && { former_secrets: config.formerSecrets.map(() => MASK) }),
    data_dir: config.dataDir,
    listeners: config.listeners.map(listenerTree),
    client: { passthrough: client.passthrough, body_limit: formatSize(client.bodyLimitBytes) },
    sync: {
      initial_wait: formatDuration(sync.initialWaitMs),
      max_timeout: formatDuration(sync.maxTimeoutMs),
      max_timeline_limit: sync.maxTimelineLimit,
      simplified_ops: sync.simplifiedOps,
    },
    polling: {
      timeline_limit: polling.timelineLimit,
      idle_after: formatDuration(polling.idleAfterMs),
      catch_up_wait: formatDuration(polling.catchUpWaitMs),
      initial_concurrency: polling.initialConcurrency,
    },
    logging: { level: config.logging.level, format: config.logging.format },
    metrics: { enabled: config.metrics.enabled },
  };
  return dump(tree, { noRefs: true });
}

function listenerTree(listener: ListenerConfig) {
  const resources = [...listener.resources];
  return listener.kind === "tcp"
    ? { port: listener.port, bind: listener.bind, resources }
    : { socket: listener.path, resources };
}
