import { type Clock, microseconds } from "../../lib/clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { selectHead } from "../../store/changes.ts";
import { Reconciler, type ReconcilerDeps } from "./reconciler.ts";
import { StateComparer } from "./state-comparer.ts";

type Given = "db" | "rooms" | "values" | "callers" | "store" | "ask" | "timelineLimit";

interface Deps extends Pick<ReconcilerDeps, Given> {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What compares the state of rooms, as it runs: what it finds is counted and logged. */
export function createStateComparer({ db, rooms, values, callers, ask, clock, log, metrics }: Deps): StateComparer {
  return new StateComparer({
    db,
    rooms,
    values,
    callers,
    ask,
    clock,
    head: () => selectHead(db),
    onStateDrift: ({ userId: user }, room, drift) => {
      for (const { kind } of drift) metrics.drift.inc({ kind: `state_${kind}` });
      const eventType = drift[0]?.type;
      log.warn({ user, room, count: drift.length, eventType }, "state differs from the homeserver's and is asked for");
    },
    onCompareFailed: (room, err) => log.warn({ room, err }, "the state of a room could not be compared"),
  });
}

/** The reconciler as it runs: what it finds is counted and logged. */
export function createReconciler({ clock, log, metrics, ...deps }: Deps, state: StateComparer): Reconciler {
  return new Reconciler({
    ...deps,
    state,
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
