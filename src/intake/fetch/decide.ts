import type { MessagesPage } from "../../homeserver/room-reads.ts";
import type { ValueAnswer } from "../../homeserver/value-reads.ts";
import { isJsonObject, parseJson } from "../../lib/json-value.ts";
import type { RoomId, UserId } from "../../model/ids.ts";
import { isDeparted, isStripped, Membership, membershipOf } from "../../model/membership.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import type { AccountDataContest, Contest, StateContest } from "../ingest/contest.ts";
import type { AskedDatum } from "../ingest/part.ts";
import { ENCRYPTION, isBad, type ParsedEvent, parseEvent } from "../response/parse-event.ts";
import { type ParsedSection, parseSection } from "../response/parsed-section.ts";
import { emptySection, type SectionKind } from "../response/room-section.ts";
import { accountDataEvent } from "../response/section-values.ts";

/** How a question ended. `decided`: what is stored now is what the homeserver says. */
export type Outcome = "decided" | "absent" | "refused" | "invalid";

/** Of a timeline: the room's newest events, newest first. */
export type Answer = ValueAnswer | { readonly kind: "page"; readonly page: MessagesPage };

/** A question with its answer. */
export interface Answered<Kind extends Contest = Contest> {
  readonly contest: Kind;
  /** Of a membership: the user's own member event. */
  readonly answer: Answer;
}

/** What answers bring, and what became of each question. */
export interface Decision {
  readonly sections: readonly ParsedSection[];
  /** What stands because a response left it out, against what was stored at or below a position. */
  readonly leftOut: readonly { readonly section: ParsedSection; readonly after: StreamPosition }[];
  readonly asked: readonly AskedDatum[];
  readonly outcomes: ReadonlyMap<Contest, Outcome>;
}

export const MEMBER = "m.room.member";
const PUSH_RULES = "m.push_rules";

/**
 * What the answers to one user's questions decide. `own` has the user's own member event by room, read after all values of
 * the room: who left reads what was current when they left, so that values count only while the user was in the room
 * after they were read.
 */
export function decide(userId: UserId, answered: readonly Answered[], own: ReadonlyMap<RoomId, ValueAnswer>): Decision {
  const outcomes = new Map<Contest, Outcome>();
  const asked: AskedDatum[] = [];
  const byRoom = Map.groupBy(answered.filter(isOfRoom), ({ contest }) => contest.roomId);
  const sections: ParsedSection[] = [];
  const leftOut: Decision["leftOut"][number][] = [];
  for (const [roomId, questions] of byRoom) {
    const decided = decideRoom(roomId, userId, questions, own.get(roomId) ?? ABSENT, outcomes);
    if (decided !== "outsider") sections.push(...decided);
    else for (const { contest } of questions) addOutsider(contest, sections, leftOut);
  }
  for (const { contest, answer } of answered) {
    if (contest.kind !== "account-data") continue;
    const datum = accountDatum(contest, answer);
    if (typeof datum === "object") asked.push(datum);
    outcomes.set(contest, typeof datum === "object" ? "decided" : datum);
  }
  return { sections, leftOut, asked, outcomes };
}

type RoomQuestion = Answered<Exclude<Contest, { readonly kind: "account-data" }>>;

const isOfRoom = (answered: Answered): answered is RoomQuestion => answered.contest.kind !== "account-data";

const ABSENT: ValueAnswer = { kind: "absent" };

function decideRoom(
  roomId: RoomId,
  userId: UserId,
  questions: readonly RoomQuestion[],
  ownAnswer: ValueAnswer,
  outcomes: Map<Contest, Outcome>,
): readonly ParsedSection[] | "outsider" {
  const own = saysNothing(ownAnswer) ? "invalid" : eventOf(ownAnswer, { roomId, type: MEMBER, stateKey: userId });
  const membership = typeof own === "object" ? membershipOf(own.content) : undefined;
  const isJoined = membership === Membership.join;
  const isOut = membership !== undefined && isDeparted(membership);
  const brought = questions.map(({ contest, answer }) => {
    const all = contest.kind === "membership" ? own : broughtBy(contest, answer);
    // Who left is shown what came before.
    const isReader = isJoined || (isOut && contest.kind === "timeline");
    const isUseless = typeof all === "object" && contest.kind !== "membership" && !isReader;
    const counting = isUseless ? "refused" : all;
    outcomes.set(contest, outcomeOf(contest, counting));
    return contest.kind === "membership" ? undefined : counting;
  });
  const values = brought.filter((each) => typeof each === "object");
  const state = values.flatMap((each) => ("eventId" in each ? [each] : []));
  const absent = values.flatMap((each) => ("gone" in each ? [each.gone] : []));
  const page = values.find((each) => "events" in each);
  if (typeof own === "object" && isJoined) {
    const section = sectionOf({ kind: "join", roomId, state: [...state, own], page });
    return [absent.length === 0 ? section : { ...section, absent }];
  }
  if (typeof own === "object" && isOut) return [sectionOf({ kind: "leave", roomId, state: [own], page })];
  // Who is invited or banned cannot read the room. An answer that is none says nothing.
  return own === "invalid" ? [] : "outsider";
}

/**
 * Who may not know their own membership is not in the room (Client-Server API, `GET /rooms/{roomId}/state/{type}/{key}`, 403). Any
 * other refusal is that of a proxy, or of a homeserver that does not serve such requests: rooms must not vanish by it.
 */
const saysNothing = (own: ValueAnswer): boolean => own.kind === "refused" && own.errcode !== "M_FORBIDDEN";

/** That a state key has no value. */
interface Gone {
  readonly gone: StateContest;
}

/** What an answer says of a room. */
type Word = ParsedEvent | MessagesPage | Gone;

/** A value, that there is none, or a page of a room; or why the answer says nothing. */
function broughtBy(
  contest: Exclude<RoomQuestion["contest"], { readonly kind: "membership" }>,
  answer: Answer,
): Word | Exclude<Outcome, "decided"> {
  if (contest.kind === "state") return isGone(contest, answer) ? { gone: contest } : eventOf(answer, contest);
  if (answer.kind === "page") return answer.page;
  return answer.kind === "found" ? "invalid" : answer.kind;
}

/** Whatever is said of a membership, that the user may not know included, decides it. */
function outcomeOf({ kind }: Contest, brought: Word | Exclude<Outcome, "decided">): Outcome {
  if (typeof brought === "object") return "decided";
  return kind === "membership" && brought !== "invalid" ? "decided" : brought;
}

/** What stands of a user who cannot read the room, nor read it as one who left. */
function addOutsider(
  contest: RoomQuestion["contest"],
  sections: ParsedSection[],
  leftOut: Decision["leftOut"][number][],
): void {
  const claimed = contest.kind === "membership" ? contest.claimed : undefined;
  if (contest.kind !== "membership" || claimed === undefined) return;
  const { roomId } = contest;
  const { kind, own, stripped, leftOutAfter: after } = claimed;
  const section = sectionOf({ kind, roomId, state: kind === "leave" ? own : [], stripped });
  if (after !== undefined) leftOut.push({ section, after });
  else if (standsForOutsider(contest.stored, kind)) sections.push(section);
}

/** The homeserver has no value where one is stored. From who is in the room it is its word; others are told so of rooms they do not see. */
export const isGone = (contest: StateContest, answer: Answer): boolean =>
  answer.kind === "absent" && !contest.isMissing;

/** The user's own member event, if it says that they are in the room. */
export function joinedEvent(answer: ValueAnswer, roomId: RoomId, userId: UserId): ParsedEvent | undefined {
  const own = eventOf(answer, { roomId, type: MEMBER, stateKey: userId });
  return typeof own === "object" && membershipOf(own.content) === Membership.join ? own : undefined;
}

/** Whether the stream of a user who cannot read the room tells the truth, and not what is stored. */
export function standsForOutsider(stored: Membership, claimed: SectionKind): boolean {
  if (claimed === "join") return false;
  return claimed === "leave" ? stored === Membership.join : stored !== Membership.ban && !isStripped(stored);
}

/** The event, if the answer is what was asked for. */
function eventOf(
  answer: Answer,
  { roomId, type, stateKey }: Pick<StateContest, "roomId" | "type" | "stateKey">,
): ParsedEvent | Exclude<Outcome, "decided"> {
  if (answer.kind === "page") return "invalid";
  if (answer.kind !== "found") return answer.kind;
  const json = parseJson(answer.raw);
  const isOfThisRoom = isJsonObject(json) && (json.room_id === undefined || json.room_id === roomId);
  const event = parseEvent(answer.raw);
  if (!isOfThisRoom || isBad(event) || event.type !== type || event.stateKey !== stateKey) return "invalid";
  return event;
}

/** Where there is none it was deleted, which streams tell by an empty content. Push rules are never deleted. */
function accountDatum({ roomId, type }: AccountDataContest, answer: Answer): AskedDatum | Outcome {
  if (answer.kind === "refused") return "refused";
  if (answer.kind === "absent" && type === PUSH_RULES) return "absent";
  const content = answer.kind === "found" ? answer.raw : Buffer.from("{}");
  const event = accountDataEvent(
    Buffer.concat([Buffer.from(`{"type":${JSON.stringify(type)},"content":`), content, Buffer.from("}")]),
  );
  return event === undefined ? "invalid" : { roomId, event };
}

interface AskedSection extends Pick<ParsedSection, "kind" | "roomId" | "state"> {
  readonly stripped?: readonly Buffer[];
  readonly page?: MessagesPage | undefined;
}

/** State is what was asked for, and what a timeline has of it is none: values are asked for one by one. */
function sectionOf({ kind, roomId, state, stripped = [], page }: AskedSection): ParsedSection {
  const isEncrypted = state.some(({ type, stateKey }) => type === ENCRYPTION && stateKey === "");
  const timeline = page === undefined ? [] : page.events.toReversed();
  const end = { limited: page?.end !== undefined, prevBatch: page?.end };
  const read = parseSection({ ...emptySection(kind, roomId), stateAfter: [], timeline, ...end }, () => undefined);
  return { ...read, state, stripped, isEncrypted: isEncrypted || read.isEncrypted, fault: undefined };
}
