import { type Clock, microseconds } from "../../lib/clock.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { selectHead } from "../../store/changes.ts";
import { MembersReader, type MembersReaderDeps } from "./members-reader.ts";

type Given = "db" | "owner" | "rooms" | "values" | "callers" | "store" | "ask";

interface Deps extends Pick<MembersReaderDeps, Given> {
  readonly clock: Clock;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** What reads all members of rooms, as it runs: what it does is counted and logged. */
export function createMembersReader({ clock, log, metrics, ...deps }: Deps): MembersReader {
  return new MembersReader({
    ...deps,
    head: () => selectHead(deps.db),
    nowUs: () => microseconds(clock),
    onRead: (room, count) => {
      metrics.memberLists.inc({ outcome: "read" });
      log.debug({ room, count }, "all members of a room were read");
    },
    onFailed: (room, err) => {
      metrics.memberLists.inc({ outcome: "failed" });
      log.warn({ room, err }, "all members of a room could not be read; it is tried again");
    },
  });
}
