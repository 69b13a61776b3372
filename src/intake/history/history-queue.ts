import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomReads } from "../../homeserver/room-reads.ts";
import type { ValueReads } from "../../homeserver/value-reads.ts";
import { parseJson } from "../../lib/json-value.ts";
import type { HistoryWant } from "../../model/history-want.ts";
import { namesSomebody } from "../../model/ignored-users.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { HISTORY_CHANNEL, settleHistory, takeHistory } from "../../store/history-wants.ts";
import type { Caller } from "../fetch/callers.ts";
import { finalFault, WantQueue, type WantQueueDeps } from "../fetch/want-queue.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { readHistory } from "./read-history.ts";

/** Rooms read at a time. More: the homeserver is strained, and polls wait for connections. Fewer: rooms open late for many. */
const CONCURRENT_ROOMS = 8;

/** Rooms of one user read at a time, so that nobody takes all places. Fewer: rooms of one screen come one after the other. */
const CONCURRENT_ROOMS_OF_USER = 3;

/** Rooms that may wait to be read. More: they come long after anybody waits for them. Fewer: peaks go without. */
const MAX_WAITING = 200;

/** A room is read for so long at most. Longer: a slow homeserver holds places. Shorter: large pages do not come. */
const READ_MS = 10_000;

type HistoryOutcome = "brought" | "nothing" | "refused" | "invalid" | "failed";

const HOUR_SECONDS = 3_600;
const DAY_SECONDS = 24 * HOUR_SECONDS;

/** What the homeserver has said does not change soon, where it was away it is back soon. */
const AGAIN_AFTER_SECONDS: Readonly<Record<HistoryOutcome | "dropped", number>> = {
  brought: HOUR_SECONDS,
  nothing: DAY_SECONDS,
  refused: 30 * DAY_SECONDS,
  invalid: DAY_SECONDS,
  failed: 60,
  dropped: 60,
};

export interface HistoryQueueDeps extends WantQueueDeps<HistoryWant, HistoryOutcome> {
  readonly rooms: Pick<RoomReads, "messagesBefore">;
  readonly values: Pick<ValueReads, "accountData">;
  readonly store: Pick<PartStore, "live">;
  /** Everything at or below it is stored. */
  readonly head: () => Promise<StreamPosition>;
  readonly nowUs: () => number;
}

/**
 * Fetches older events that answers lack, as the users who want them, and stores them. Nobody depends on it: a client reads
 * back by itself what does not come in time.
 */
export const historyQueue = (deps: HistoryQueueDeps): WantQueue<HistoryWant, HistoryOutcome> =>
  new WantQueue(
    {
      channel: HISTORY_CHANNEL,
      places: { all: CONCURRENT_ROOMS, ofUser: CONCURRENT_ROOMS_OF_USER },
      maxWaiting: MAX_WAITING,
      readMs: READ_MS,
      againAfterSeconds: AGAIN_AFTER_SECONDS,
      take: takeHistory,
      settle: settleHistory,
      bring: (caller, call, want) => bring(deps, caller, call, want),
      outcomeOf,
    },
    deps,
  );

async function bring(
  { rooms, values, store, head, nowUs }: HistoryQueueDeps,
  { device }: Caller,
  call: ReadCall,
  want: HistoryWant,
): Promise<HistoryOutcome> {
  const storedBefore = await head();
  const [section, ignores] = await Promise.all([
    // What cannot be stored is told when a sync brings it.
    readHistory(rooms, call, want, () => undefined),
    ignoresSomebody(values, device, call),
  ]);
  if (section.timeline.length === 0) return "nothing";
  const { userNid, userId, deviceNid } = device;
  await store.live({
    claim: device,
    source: {
      userNid,
      userId,
      deviceNid,
      ignoresSomebody: ignores,
      poll: "history",
      storedBefore,
      toldUpTo: undefined,
      lastSeen: new Map(want.anchor === undefined ? [] : [[want.roomId, want.anchor]]),
      nowUs: nowUs(),
    },
    sections: [section],
    token: undefined,
    end: undefined,
    receivedUs: undefined,
    history: { visibility: want.visibility },
  });
  return "brought";
}

/** Whom a user ignores may have changed since their stream told of it. Where it cannot be told, they do. */
async function ignoresSomebody(
  values: HistoryQueueDeps["values"],
  { userId }: Caller["device"],
  call: ReadCall,
): Promise<boolean> {
  const answer = await values.accountData(call, userId, undefined, "m.ignored_user_list").catch(() => undefined);
  if (answer === undefined || answer.kind !== "found") return answer?.kind !== "absent";
  return namesSomebody(parseJson(answer.raw));
}

function outcomeOf(error: Error): HistoryOutcome {
  const fault = finalFault(error);
  if (fault === "malformed") return "invalid";
  return fault === "status" ? "refused" : "failed";
}
