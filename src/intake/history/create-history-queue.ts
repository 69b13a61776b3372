import type { Homeserver } from "../../homeserver/client.ts";
import { type Clock, microseconds } from "../../lib/clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { selectHead } from "../../store/changes.ts";
import type { Callers } from "../fetch/callers.ts";
import { type HistoryQueueDeps, historyQueue } from "./history-queue.ts";

interface Deps extends Pick<HistoryQueueDeps, "db" | "store" | "onPosition"> {
  readonly upstream: Pick<Homeserver, "rooms" | "values">;
  readonly callers: Callers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The queue as it runs: what it does is counted and logged. */
export function createHistoryQueue({ upstream, callers, clock, log, metrics, ...deps }: Deps) {
  return historyQueue({
    ...deps,
    rooms: upstream.rooms,
    values: upstream.values,
    callerOf: (userNid) => callers.of(userNid),
    head: () => selectHead(deps.db),
    nowUs: () => microseconds(clock),
    onSettled: ({ roomId: room }, outcome, err) => {
      metrics.historyFetches.inc({ outcome });
      if (err === undefined) log.debug({ room, outcome }, "older events of a room were fetched");
      else
        log.warn(
          { room, outcome, err },
          "older events of a room could not be fetched; its clients read them by themselves",
        );
    },
    onError: (err) => log.warn({ err }, "what clients want of older events could not be looked up or noted"),
  });
}
