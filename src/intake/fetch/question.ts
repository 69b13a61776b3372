import type { UserNid } from "../../model/ids.ts";
import type { Contest } from "../ingest/contest.ts";

/** Questions of one lane are asked one bundle after the other: a room's state, and what is a user's own. */
export const laneKey = (contest: Contest): string =>
  contest.kind === "state" ? contest.roomId : `user ${contest.userNid}`;

/** A question that waits for its answer. */
export class Question {
  readonly key: string;
  /** One for each user as whom it can be asked. */
  contests: readonly Contest[];
  failures = 0;
  /** How often it came up again while it was being asked. */
  repeats = 0;
  dueMs: number;
  isBeingAsked = false;
  /** It came up while it was being asked: what it is about may have changed since. */
  isAskedAgain = false;

  constructor(key: string, contest: Contest, dueMs: number) {
    this.key = key;
    this.contests = [contest];
    this.dueMs = dueMs;
  }

  contestOf(userNid: UserNid): Contest | undefined {
    return this.contests.find((contest) => contest.userNid === userNid);
  }

  /** The newest word of a user stands. */
  addContest(contest: Contest, limit: number): void {
    const others = this.contests.filter(({ userNid }) => userNid !== contest.userNid);
    if (others.length < limit) this.contests = [...others, contest];
  }

  /** The user may not know. */
  dropContest(userNid: UserNid): void {
    this.contests = this.contests.filter((contest) => contest.userNid !== userNid);
  }
}
