import type { ReadCall } from "../../homeserver/get-as-user.ts";
import type { MessagesPage, RoomReads } from "../../homeserver/room-reads.ts";
import { finalAnswer, type ValueAnswer, type ValueReads } from "../../homeserver/value-reads.ts";
import type { RoomId } from "../../model/ids.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import type { Contest } from "../ingest/contest.ts";
import type { ResponsePart } from "../ingest/part.ts";
import type { PartStore } from "../poller/response-intake.ts";
import { askedSource } from "./asked-source.ts";
import type { Caller } from "./callers.ts";
import { type Answer, type Answered, decide, isGone, MEMBER, type Outcome } from "./decide.ts";

export interface AskDeps {
  readonly reads: ValueReads;
  readonly rooms: Pick<RoomReads, "newestMessages">;
  /** Timeline events to read of a room. */
  readonly timelineLimit: number;
  readonly store: Pick<PartStore, "live">;
  /** Everything at or below it is stored, whichever process stored it. */
  readonly head: () => Promise<StreamPosition>;
  readonly nowUs: () => number;
}

/**
 * Asks the homeserver as one user and stores what it says, as any other source: with the position up to which all was
 * stored before the first question, so that it stands against all of that. Returns what became of each question.
 * Throws `UpstreamError` when it has to be asked again, or what the store throws.
 */
export async function ask(
  deps: AskDeps,
  { device, token, forwarded }: Caller,
  contests: readonly Contest[],
  signal: AbortSignal,
): Promise<ReadonlyMap<Contest, Outcome>> {
  const { reads, store, head, nowUs } = deps;
  const { userId } = device;
  const storedBefore = await head();
  const call: ReadCall = { token, forwarded, signal };
  const answered = await Promise.all(contests.map((contest) => askOne(deps, call, contest)));
  const rooms = answered.flatMap(({ contest, answer }) => (needsOwn(contest, answer) ? [contest.roomId] : []));
  const own = await Promise.all(
    [...new Set(rooms)].map(
      async (roomId): Promise<[RoomId, ValueAnswer]> => [
        roomId,
        await unlessMalformed(reads.stateEvent(call, roomId, MEMBER, userId)),
      ],
    ),
  );
  const { sections, leftOut, asked, outcomes } = decide(userId, answered, new Map(own));
  const storeAnswer = async (knew: StreamPosition, answer: Pick<ResponsePart, "sections" | "asked">) => {
    const nowMicroseconds = nowUs();
    await store.live({
      claim: device,
      source: askedSource(device, knew, nowMicroseconds),
      token: undefined,
      end: undefined,
      receivedUs: nowMicroseconds,
      ...answer,
    });
  };
  if (sections.length + asked.length > 0) await storeAnswer(storedBefore, { sections, asked });
  for (const [after, left] of Map.groupBy(leftOut, (each) => each.after)) {
    await storeAnswer(after, { sections: left.map(({ section }) => section), asked: [] });
  }
  return outcomes;
}

type RoomContest = Exclude<Contest, { readonly kind: "account-data" }>;

/** Values and events are worth nothing without it, and it is the answer about a membership. */
const needsOwn = (contest: Contest, answer: Answer): contest is RoomContest =>
  contest.kind === "membership" ||
  (contest.kind === "state" && (answer.kind === "found" || isGone(contest, answer))) ||
  answer.kind === "page";

async function askOne({ reads, rooms, timelineLimit }: AskDeps, call: ReadCall, contest: Contest): Promise<Answered> {
  const { userId, roomId } = contest;
  switch (contest.kind) {
    case "membership":
      return { contest, answer: { kind: "absent" } };
    case "timeline":
      return { contest, answer: await pageOf(rooms.newestMessages(call, contest.roomId, timelineLimit)) };
    case "state":
      return {
        contest,
        answer: await unlessMalformed(reads.stateEvent(call, contest.roomId, contest.type, contest.stateKey)),
      };
    case "account-data":
      return { contest, answer: await unlessMalformed(reads.accountData(call, userId, roomId, contest.type)) };
  }
}

/** What is no value at all is refused where its content is looked at. */
const NONSENSE: ValueAnswer = { kind: "found", raw: Buffer.from("null") };

async function pageOf(reading: Promise<MessagesPage>): Promise<Answer> {
  try {
    return { kind: "page", page: await reading };
  } catch (error) {
    return await unlessMalformed(Promise.reject(error).catch(finalAnswer));
  }
}

async function unlessMalformed(answer: Promise<ValueAnswer>): Promise<ValueAnswer> {
  try {
    return await answer;
  } catch (error) {
    if (error instanceof UpstreamError && error.fault.kind === "malformed") return NONSENSE;
    throw error;
  }
}
