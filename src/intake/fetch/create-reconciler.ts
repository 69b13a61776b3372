import { type Clock, microseconds } from "../../lib/clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { selectHead } from "../../store/changes.ts";
import { Reconciler, type ReconcilerDeps } from "./reconciler.ts";

type Given = "db" | "rooms" | "values" | "callers" | "store" | "ask" | "timelineLimit";

interface Deps extends Pick<ReconcilerDeps, Given> {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The reconciler as it runs: what it finds is counted and logged. */
export function createReconciler({ clock, log, metrics, ...deps }: Deps): Reconciler {
  return new Reconciler({
    ...deps,
    head: () => selectHead(deps.db),
    nowUs: () => microseconds(clock),
    onDrift: ({ userId: user, deviceId: device }, { gone, missing }) => {
      metrics.drift.inc({ kind: "joined_here" }, gone.length);
      metrics.drift.inc({ kind: "joined_upstream" }, missing.length);
      const rooms = [...gone, ...missing];
      log.warn(
        { user, device, count: rooms.length, room: rooms[0] },
        "rooms differ from the homeserver's and are mended",
      );
    },
    onFailed: ({ userId: user, deviceId: device }, err) => {
      log.warn(
        { user, device, err },
        "the rooms of a user, or one of them, could not be compared with the homeserver's",
      );
    },
  });
}
