import type { UserNid } from "../../model/ids.ts";
import type { Contest } from "../ingest/contest.ts";
import type { Caller } from "./callers.ts";
import type { Question } from "./question.ts";

/** Questions asked at once. More: a burst strains the homeserver. Fewer: what many wait for comes late. */
const BUNDLE_QUESTIONS = 8;

/** Questions that are asked together, as one user. */
export interface Bundle {
  readonly caller: Caller;
  readonly questions: ReadonlyMap<Contest, Question>;
}

/** Waiting questions of one room's state, or of what is one user's own. */
export class Lane {
  readonly questions = new Map<string, Question>();
  isAsking = false;
  /** The last bundle failed: one question that always fails must not hold up the others. */
  hasFailed = false;
  /** Its budget allows nothing before. */
  freeMs = 0;

  /** When there is something to ask; Infinity: never. */
  get dueMs(): number {
    let due = Number.POSITIVE_INFINITY;
    for (const question of this.questions.values()) due = Math.min(due, question.dueMs);
    return Math.max(due, this.freeMs);
  }

  /** What to ask now. undefined: none of the users as whom it could be asked can ask. */
  bundle(nowMs: number, callerOf: (userNid: UserNid) => Caller | undefined): Bundle | undefined {
    const due = this.due(nowMs);
    const askers = new Set(due.flatMap(({ contests }) => contests.map(({ userNid }) => userNid)));
    for (const userNid of askers) {
      const caller = callerOf(userNid);
      if (caller === undefined) continue;
      const mine = due.flatMap((question): [Contest, Question][] => {
        const contest = question.contestOf(userNid);
        return contest === undefined ? [] : [[contest, question]];
      });
      return { caller, questions: new Map(mine.slice(0, this.hasFailed ? 1 : BUNDLE_QUESTIONS)) };
    }
    return undefined;
  }

  /** The longest due first. */
  due(nowMs: number): readonly Question[] {
    const due = [...this.questions.values()].filter(({ dueMs }) => dueMs <= nowMs);
    return due.sort((a, b) => a.dueMs - b.dueMs);
  }
}
