import type { RoomReads } from "../../homeserver/room-reads.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import { type Clock, microseconds } from "../../lib/clock.ts";
import type { LogFields } from "../../logging/fields.ts";
import type { Logger } from "../../logging/logger.ts";
import type { Metrics } from "../../metrics/metrics.ts";
import { selectHead } from "../../store/changes.ts";
import { deleteContests, selectContests } from "../../store/contests.ts";
import type { Database } from "../../store/database.ts";
import { type Asker, type Contest, isContest, type OpenQuestion, questionKey } from "../ingest/contest.ts";
import { contestOf, isKept } from "../ingest/contest-rows.ts";
import type { PartStore } from "../poller/response-intake.ts";
import type { Callers } from "./callers.ts";
import { type FetchEvents, FetchQueue } from "./fetch-queue.ts";
import type { StateComparer } from "./state-comparer.ts";

interface QueueDeps {
  readonly db: Database;
  readonly reads: ValueReads;
  readonly rooms: Pick<RoomReads, "newestMessages">;
  readonly timelineLimit: number;
  readonly clock: Clock;
  readonly random: () => number;
  readonly log: Logger;
  readonly metrics: Metrics;
}

/** The queue as it runs: with our database, and what it does counted and logged. */
export function createFetchQueue(deps: QueueDeps, callers: Callers, store: Pick<PartStore, "live">): FetchQueue {
  const { db, reads, rooms, timelineLimit, clock, random } = deps;
  return new FetchQueue({
    reads,
    rooms,
    timelineLimit,
    store,
    head: () => selectHead(db),
    nowUs: () => microseconds(clock),
    callerOf: (userNid) => callers.of(userNid),
    clock,
    random,
    events: fetchEvents(deps),
  });
}

/** Asks what a transaction left open: single values, and rooms whose state is to be compared. */
export function askAll(queue: FetchQueue, state: StateComparer, open: readonly OpenQuestion[]): void {
  queue.add(open.filter(isContest));
  state.add(open.filter((question) => question.kind === "room-state"));
}

/** What was open when a user was last polled. */
export async function recallContests(db: Database, asker: Asker): Promise<readonly OpenQuestion[]> {
  const bodies = await selectContests(db, asker.userNid);
  return bodies.flatMap((body) => contestOf(body, asker) ?? []);
}

function fetchEvents({ db, log, metrics }: QueueDeps): FetchEvents {
  const answered: string[] = [];
  return {
    onSettled: (contest, outcome) => {
      // What was dropped is asked again when its user is back.
      if (outcome !== "dropped" && isKept(contest)) answered.push(questionKey(contest));
      metrics.fetches.inc({ kind: kindOf(contest), outcome });
      const fields = fieldsOf(contest);
      const isLost = outcome !== "decided" && isKept(contest);
      if (!isLost) log.debug({ ...fields, outcome }, "what the streams left open was asked for");
      else log.warn({ ...fields, outcome }, "what the streams left open could not be asked for, and stays as it is");
    },
    onFailed: (questions, error) => {
      metrics.fetchFailures.inc();
      log.warn({ count: questions, err: error }, "asking the homeserver for single values failed; it is asked again");
    },
    onWaiting: (questions) => {
      metrics.fetchesWaiting.set(questions);
      // Left behind, they are asked once more than needed.
      deleteContests(db, answered.splice(0)).catch((err: Error) => {
        log.warn({ err }, "questions to the homeserver that were answered could not be deleted");
      });
    },
  };
}

function kindOf(contest: Contest): "state" | "member" | "membership" | "timeline" | "account_data" {
  if (contest.kind === "account-data") return "account_data";
  if (contest.kind !== "state") return contest.kind;
  return contest.isMissing ? "member" : "state";
}

function fieldsOf(contest: Contest): LogFields {
  const { userId: user, roomId: room } = contest;
  const eventType = "type" in contest ? contest.type : undefined;
  const stateKey = contest.kind === "state" ? contest.stateKey : undefined;
  return { user, room, asked: kindOf(contest), eventType, stateKey };
}
