import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { RoomId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { RECALLS_CHANNEL, settleRecall, takeRecalls } from "../../store/recalls.ts";
import { askedSource } from "../fetch/asked-source.ts";
import type { Caller } from "../fetch/callers.ts";
import { finalFault, WantQueue, type WantQueueDeps } from "../fetch/want-queue.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { type DepartedReads, readDeparted } from "./read-departed.ts";

/** Rooms read at a time. More: the homeserver is strained. Fewer: rooms open late for many. */
const CONCURRENT_ROOMS = 4;

/** Rooms of one user read at a time. More: who subscribes to many rooms of others makes as many requests at once. */
const CONCURRENT_ROOMS_OF_USER = 1;

/** Rooms that may wait to be read. More: they come long after anybody waits for them. Fewer: peaks go without. */
const MAX_WAITING = 200;

/** A room is read for so long at most. Longer: a slow homeserver holds places. Shorter: large rooms do not come. */
const READ_MS = 30_000;

type RecallOutcome = "brought" | "nothing" | "failed";

const DAY_SECONDS = 24 * 3_600;

/** What happens to a user in a room is told by their stream. */
const AGAIN_AFTER_SECONDS: Readonly<Record<RecallOutcome | "dropped", number>> = {
  brought: DAY_SECONDS,
  nothing: DAY_SECONDS,
  failed: 60,
  dropped: 60,
};

export interface RecallQueueDeps extends DepartedReads, WantQueueDeps<RoomId, RecallOutcome> {
  readonly store: Pick<PartStore, "bulk">;
  /** Everything at or below it is stored. */
  readonly head: () => Promise<StreamPosition>;
  readonly nowUs: () => number;
}

/**
 * Asks the homeserver for rooms that clients subscribe to and of which nothing of their users is stored: they may have left them long
 * ago, of which no stream tells. Each is asked for once in a long time, be it in vain.
 */
export const recallQueue = (deps: RecallQueueDeps): WantQueue<RoomId, RecallOutcome> =>
  new WantQueue(
    {
      channel: RECALLS_CHANNEL,
      places: { all: CONCURRENT_ROOMS, ofUser: CONCURRENT_ROOMS_OF_USER },
      maxWaiting: MAX_WAITING,
      readMs: READ_MS,
      againAfterSeconds: AGAIN_AFTER_SECONDS,
      take: takeRecalls,
      settle: settleRecall,
      bring: (caller, call, roomId) => bring(deps, caller, call, roomId),
      outcomeOf: (error) => (finalFault(error) === undefined ? "failed" : "nothing"),
    },
    deps,
  );

async function bring(
  deps: RecallQueueDeps,
  { device }: Caller,
  call: ReadCall,
  roomId: RoomId,
): Promise<RecallOutcome> {
  const storedBefore = await deps.head();
  const room = await readDeparted(deps, call, { roomId, userId: device.userId });
  if (room === undefined) return "nothing";
  await deps.store.bulk({
    claim: device,
    source: askedSource(device, storedBefore, deps.nowUs()),
    sections: [room.section],
    token: room.token,
    end: undefined,
    receivedUs: undefined,
    isRecalled: true,
  });
  return "brought";
}
