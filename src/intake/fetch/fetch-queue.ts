import type { Clock } from "../../lib/clock.ts";
import { errorOf } from "../../lib/error-of.ts";
import type { RoomId, UserNid } from "../../model/ids.ts";
import { UpstreamError } from "../../model/upstream-error.ts";
import { DatabaseUnavailableError } from "../../store/database-errors.ts";
import { type Contest, memberKey, questionKey } from "../ingest/contest.ts";
import { type AskDeps, ask } from "./ask.ts";
import type { Caller } from "./callers.ts";
import type { Outcome } from "./decide.ts";
import { type Bundle, Lane } from "./lane.ts";
import { laneKey, Question } from "./question.ts";

/** Questions that may wait. More: a homeserver that is away for long fills memory. Fewer: what it could settle is given up. */
const MAX_WAITING = 5_000;

/** Bundles asked at a time. More: connections to the homeserver run out. Fewer: a slow answer holds up other rooms. */
const MAX_BUNDLES = 4;

/** The budget of a room, and of a user: one call in so many milliseconds on average. Smaller: a busy room strains the homeserver. */
const MS_PER_CALL = 20;

/** Users as whom one question may be asked. More: memory. Fewer: the few that are known may be gone. */
const MAX_ASKERS = 4;

/**
 * The first wait after a failure; it doubles up to {@link MAX_WAIT_MS}. Shorter: a homeserver that restarts is hammered.
 * Longer: a hiccup is seen.
 */
const FIRST_WAIT_MS = 500;
const MAX_WAIT_MS = 60_000;

/**
 * After so many failures, a quarter of an hour at least, a question is given up, unless nobody can be asked anything. More: it
 * outlives whoever had it.
 */
const MAX_FAILURES = 20;

/** Answers that make no sense, after which a question is given up. Fewer: a proxy's error page ends it. More: no use. */
const MAX_INVALID = 3;

/** Of a homeserver or proxy that is busy or away. */
const OUTAGE_STATUS: ReadonlySet<number> = new Set([429, 502, 503, 504]);

/** For so long nobody asks again for a member who is unknown. Longer: one who comes in later is missed without their event. */
const ABSENT_MS = 10 * 60_000;
/** Unknown members that are remembered. More: memory. Fewer: they are asked for again and again. */
const MAX_ABSENT = 5_000;

export interface FetchDeps extends AskDeps {
  readonly callerOf: (userNid: UserNid) => Caller | undefined;
  readonly clock: Clock;
  /** In [0, 1). */
  readonly random: () => number;
  readonly events: FetchEvents;
}

export interface FetchEvents {
  /** `dropped`: it will not be answered. */
  onSettled(contest: Contest, outcome: Outcome | "dropped"): void;
  /** So many questions are asked again later. */
  onFailed(questions: number, error: Error): void;
  onWaiting(questions: number): void;
}

/**
 * What the streams cannot settle, until the homeserver was asked. A question is asked once at a time; what comes up again
 * meanwhile is asked again. Bounded in number and rate.
 */
export class FetchQueue {
  readonly #deps: FetchDeps;
  readonly #lanes = new Map<string, Lane>();
  /** Of members who are unknown, until when that is believed. */
  readonly #absent = new Map<string, number>();
  /** Budgets of users who used them up, until they have some again. */
  readonly #userFreeMs = new Map<UserNid, number>();
  readonly #end = new AbortController();
  readonly #asking = new Set<Promise<void>>();
  #waiting = 0;
  #timer: NodeJS.Timeout | undefined;

  constructor(deps: FetchDeps) {
    this.#deps = deps;
  }

  /** Nothing waits and nothing is being asked. */
  get isIdle(): boolean {
    return this.#waiting === 0;
  }

  /** Whether a member event is asked for because nobody brought it. */
  isWaitingFor(roomId: RoomId, userId: string): boolean {
    return this.#lanes.get(roomId)?.questions.has(memberKey(roomId, userId)) === true;
  }

  add(contests: readonly Contest[]): void {
    if (contests.length === 0 || this.#end.signal.aborted) return;
    for (const contest of contests) this.#add(contest, this.#deps.clock.nowMs());
    this.#deps.events.onWaiting(this.#waiting);
    this.#pump();
  }

  /** Gives up what is being asked and what waits. */
  async stop(): Promise<void> {
    this.#end.abort();
    clearTimeout(this.#timer);
    await Promise.all(this.#asking);
  }

  #add(contest: Contest, nowMs: number): void {
    const key = questionKey(contest);
    const lane = this.#lanes.get(laneKey(contest)) ?? new Lane();
    const known = lane.questions.get(key);
    if (known !== undefined) {
      known.addContest(contest, MAX_ASKERS);
      known.isAskedAgain ||= known.isBeingAsked;
      return;
    }
    if (contest.kind === "state" && contest.isMissing && (this.#absent.get(key) ?? 0) > nowMs) return;
    if (this.#waiting >= MAX_WAITING) {
      this.#deps.events.onSettled(contest, "dropped");
      return;
    }
    this.#waiting += 1;
    lane.questions.set(key, new Question(key, contest, nowMs));
    this.#lanes.set(laneKey(contest), lane);
  }

  /** Starts what is due, and comes back when something else will be. */
  #pump(): void {
    clearTimeout(this.#timer);
    if (this.#end.signal.aborted) return;
    const nowMs = this.#deps.clock.nowMs();
    let nextMs = Number.POSITIVE_INFINITY;
    for (const [key, lane] of [...this.#lanes]) {
      if (this.#asking.size >= MAX_BUNDLES) return;
      if (lane.isAsking) continue;
      if (lane.dueMs <= nowMs) this.#start(key, lane, nowMs);
      if (!lane.isAsking && this.#lanes.has(key)) nextMs = Math.min(nextMs, lane.dueMs);
    }
    if (nextMs === Number.POSITIVE_INFINITY) return;
    this.#timer = setTimeout(() => this.#pump(), Math.max(1, Math.ceil(nextMs - nowMs)));
    // What waits to be asked must not keep a process alive that has ended.
    this.#timer.unref();
  }

  #start(key: string, lane: Lane, nowMs: number): void {
    const budgets: number[] = [];
    const bundle = lane.bundle(nowMs, (userNid) => {
      const freeMs = this.#userFreeMs.get(userNid) ?? 0;
      if (freeMs <= nowMs) return this.#deps.callerOf(userNid);
      budgets.push(freeMs);
      return undefined;
    });
    if (bundle === undefined) {
      if (budgets.length > 0) lane.freeMs = Math.min(...budgets);
      else for (const question of lane.due(nowMs)) this.#postpone(key, lane, question, undefined);
      return;
    }
    // Whoever was served goes to the end.
    this.#lanes.delete(key);
    this.#lanes.set(key, lane);
    lane.isAsking = true;
    this.#spend(lane, bundle, nowMs);
    const asking = this.#ask(key, lane, bundle).finally(() => {
      this.#asking.delete(asking);
      lane.isAsking = false;
      if (lane.questions.size === 0) this.#lanes.delete(key);
      this.#deps.events.onWaiting(this.#waiting);
      this.#pump();
    });
    this.#asking.add(asking);
  }

  #spend(lane: Lane, { caller, questions }: Bundle, nowMs: number): void {
    // The user's own member event comes on top.
    const costMs = (questions.size + 1) * MS_PER_CALL;
    lane.freeMs = nowMs + costMs;
    this.#userFreeMs.set(caller.device.userNid, nowMs + costMs);
    if (this.#userFreeMs.size <= MAX_WAITING) return;
    for (const [userNid, freeMs] of this.#userFreeMs) if (freeMs <= nowMs) this.#userFreeMs.delete(userNid);
  }

  /** Never rejects. */
  async #ask(key: string, lane: Lane, { caller, questions }: Bundle): Promise<void> {
    for (const question of questions.values()) question.isBeingAsked = true;
    try {
      const outcomes = await ask(this.#deps, caller, [...questions.keys()], this.#end.signal);
      lane.hasFailed = false;
      for (const [contest, question] of questions) {
        question.isBeingAsked = false;
        this.#settle(lane, question, contest, outcomes.get(contest) ?? "invalid");
      }
    } catch (thrown) {
      if (this.#end.signal.aborted) return;
      const error = errorOf(thrown);
      lane.hasFailed = true;
      this.#deps.events.onFailed(questions.size, error);
      for (const question of questions.values()) {
        question.isBeingAsked = false;
        this.#postpone(key, lane, question, error);
      }
    }
  }

  #settle(lane: Lane, question: Question, contest: Contest, outcome: Outcome): void {
    const nowMs = this.#deps.clock.nowMs();
    if (outcome === "refused") question.dropContest(contest.userNid);
    if (outcome === "invalid" && question.failures < MAX_INVALID - 1) {
      question.failures += 1;
      question.dueMs = nowMs + waitMs(question.failures, this.#deps.random());
      return;
    }
    if (question.contests.length > 0 && (question.isAskedAgain || outcome === "refused")) {
      // A value that changes all the time is not asked for all the time.
      if (question.isAskedAgain) question.repeats += 1;
      question.isAskedAgain = false;
      question.failures = 0;
      question.dueMs = nowMs + (question.repeats === 0 ? 0 : waitMs(question.repeats, 0));
      return;
    }
    if (outcome === "absent" && contest.kind === "state") this.#rememberAbsent(question.key, nowMs);
    this.#remove(lane, question);
    this.#deps.events.onSettled(contest, outcome);
  }

  #postpone(key: string, lane: Lane, question: Question, error: Error | undefined): void {
    question.failures += 1;
    const [contest] = question.contests;
    if (question.failures > MAX_FAILURES && !isOutage(error) && contest !== undefined) {
      this.#remove(lane, question);
      if (lane.questions.size === 0) this.#lanes.delete(key);
      this.#deps.events.onSettled(contest, "dropped");
      return;
    }
    const fault = error instanceof UpstreamError && error.fault.kind === "status" ? error.fault : undefined;
    const wait = Math.max(waitMs(question.failures, this.#deps.random()), fault?.retryAfterMs ?? 0);
    question.dueMs = this.#deps.clock.nowMs() + Math.min(wait, 2 * MAX_WAIT_MS);
  }

  #remove(lane: Lane, { key }: Question): void {
    if (lane.questions.delete(key)) this.#waiting -= 1;
  }

  #rememberAbsent(key: string, nowMs: number): void {
    this.#absent.delete(key);
    this.#absent.set(key, nowMs + ABSENT_MS);
    const [oldest] = this.#absent.keys();
    if (this.#absent.size > MAX_ABSENT && oldest !== undefined) this.#absent.delete(oldest);
  }
}

/** After so many failures in a row. `jitter` is in [0, 1). */
const waitMs = (failures: number, jitter: number): number =>
  Math.min(MAX_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures - 1, 16)) * (1 + jitter / 4);

/** The homeserver, or our own database, is away: that says nothing of the question. */
function isOutage(error: Error | undefined): boolean {
  if (error instanceof DatabaseUnavailableError) return true;
  if (!(error instanceof UpstreamError)) return false;
  const { fault } = error;
  return fault.kind === "status" ? OUTAGE_STATUS.has(fault.status) : fault.kind !== "malformed";
}
