import type { Homeserver } from "../../homeserver/client.ts";
import { type Clock, microseconds } from "../../lib/clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { selectHead } from "../../store/changes.ts";
import type { Callers } from "../fetch/callers.ts";
import { type RecallQueueDeps, recallQueue } from "./recall-queue.ts";

interface Deps extends Pick<RecallQueueDeps, "db" | "store" | "onPosition" | "timelineLimit"> {
  readonly upstream: Pick<Homeserver, "rooms" | "values">;
  readonly callers: Callers;
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The queue as it runs: what it does is counted and logged. */
export function createRecallQueue({ upstream, callers, clock, log, metrics, ...deps }: Deps) {
  return recallQueue({
    ...deps,
    rooms: upstream.rooms,
    values: upstream.values,
    callerOf: (userNid) => callers.of(userNid),
    head: () => selectHead(deps.db),
    nowUs: () => microseconds(clock),
    onSettled: (room, outcome, err) => {
      metrics.recalls.inc({ outcome });
      if (outcome !== "failed") log.debug({ room, outcome }, "a room that its user may have left was asked for");
      else log.warn({ room, err }, "a room that its user may have left could not be asked for");
    },
    onError: (err) => log.warn({ err }, "what rooms are wanted that users have left could not be looked up or noted"),
  });
}
