import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { ContestRow } from "../../store/contests.ts";
import { type Asker, type OpenQuestion, questionKey } from "./contest.ts";

/** Missing members are not kept: whoever sends again is missed again. */
export const isKept = (contest: OpenQuestion): boolean => contest.kind !== "state" || !contest.isMissing;

const KINDS: ReadonlySet<string> = new Set<OpenQuestion["kind"]>([
  "state",
  "membership",
  "timeline",
  "account-data",
  "room-state",
]);

export function rowOf(contest: OpenQuestion): ContestRow {
  const { userNid, userId: _, ...question } = contest;
  const claimed = question.kind === "membership" ? question.claimed : undefined;
  // Own member events of a departure only say where it stands.
  const stripped = claimed && { ...claimed, own: [], stripped: claimed.stripped.map((raw) => raw.toString("utf8")) };
  return { key: questionKey(contest), userNid, body: JSON.stringify({ ...question, claimed: stripped }) };
}

/** `body` as {@link rowOf} wrote it; undefined: as another version did, perhaps. */
export function contestOf(body: string, { userNid, userId }: Asker): OpenQuestion | undefined {
  const question = parseJson(Buffer.from(body));
  if (!isJsonObject(question)) return undefined;
  const { kind, claimed } = question;
  if (!KINDS.has(String(kind))) return undefined;
  const stripped = isJsonObject(claimed) && Array.isArray(claimed.stripped) ? claimed.stripped : [];
  const whole = isJsonObject(claimed)
    ? { ...claimed, stripped: stripped.map((raw) => Buffer.from(String(raw))) }
    : undefined;
  return { ...question, userNid, userId, claimed: whole } as unknown as OpenQuestion;
}
