import type { Mutant } from "./mutant.ts";

const INGEST = "src/intake/ingest";
const FETCH = "src/intake/fetch";
const PROPERTY = "test/properties/intake-contests.property.test.ts";
const CONTESTS = "test/unit/intake/contests.test.ts";
const DECIDE = "test/unit/intake/fetch-decide.test.ts";
const QUEUE = "test/unit/intake/fetch-queue.test.ts";
const READS = "test/service/http-value-reads.test.ts";

const contests: readonly Mutant[] = [
  {
    name: "what a response cannot prove is dropped and never asked for",
    file: `${INGEST}/section-fold.ts`,
    find: "this.contested.set(key, { type, stateKey });",
    replace: "this.contested.delete(key);",
    test: PROPERTY,
  },
  {
    name: "what restricts is never looked into",
    file: `${INGEST}/section-fold.ts`,
    find: 'if (standing === "proven") {',
    replace: 'if (standing !== "unproven") {',
    test: PROPERTY,
  },
  {
    name: "what acts without proof proves what follows it",
    file: `${INGEST}/room-draft.ts`,
    find: "const current = fold.unproven.get(key) ?? stored;",
    replace: "const current = stored ?? fold.unproven.get(key);",
    test: PROPERTY,
  },
  {
    name: "an answer stands against what was stored after the question",
    file: `${INGEST}/state-claim.ts`,
    find: "return tellsOfNow && wasStoredBefore(current.position, source);",
    replace: 'return tellsOfNow && (source.poll === "asked" || wasStoredBefore(current.position, source));',
    test: PROPERTY,
  },
  {
    name: "what agrees in the end is asked for",
    file: `${INGEST}/room-draft.ts`,
    find: 'const standing = current === undefined || isSame ? "proven" :',
    replace: 'const standing = current === undefined ? "proven" :',
    test: CONTESTS,
  },
  {
    name: "an answer about a room's creation makes it whole",
    file: `${INGEST}/room-draft.ts`,
    find: 'if (isCreation(event) && fold.source.poll !== "asked") fold.hasCreate = true;',
    replace: "if (isCreation(event)) fold.hasCreate = true;",
    test: CONTESTS,
  },
  {
    name: "a user whom another's stream put out without proof stays out",
    file: `${INGEST}/fold-section.ts`,
    find: "const isProven = isCurrent && known !== undefined && wasStoredBefore(known.since, source);",
    replace: "const isProven = isCurrent && known !== undefined && source.nowUs > 0;",
    test: CONTESTS,
  },
  {
    name: "an invite that crosses a departure is lost",
    file: `${INGEST}/fold-section.ts`,
    find: "if (claimed !== undefined) noteContest(draft, before ?? { ...source, membership: Membership.leave }, claimed);",
    replace: "",
    test: CONTESTS,
  },
  {
    name: "the member event of a sender is not missed",
    file: `${INGEST}/contests-of.ts`,
    find: "    members.add(sender);\n",
    replace: "",
    test: CONTESTS,
  },
  {
    name: "a device's late word replaces account data of another that is stored with it",
    file: `${INGEST}/personal-draft.ts`,
    find: ": drafted.deviceNid === deviceNid;",
    replace: ": drafted.deviceNid > 0;",
    test: "test/unit/intake/personal-draft.test.ts",
  },
];

const answers: readonly Mutant[] = [
  {
    name: "state that one who left reads counts as current",
    file: `${FETCH}/decide.ts`,
    find: 'const isReader = isJoined || (isOut && contest.kind === "timeline");',
    replace: "const isReader = isJoined || isOut;",
    test: DECIDE,
  },
  {
    name: "an answer for another room is taken",
    file: `${FETCH}/decide.ts`,
    find: "(json.room_id === undefined || json.room_id === roomId)",
    replace: "json.room_id !== null",
    test: DECIDE,
  },
  {
    name: "an answer for another key is taken",
    file: `${FETCH}/decide.ts`,
    find: " || event.stateKey !== stateKey) return",
    replace: ") return",
    test: DECIDE,
  },
  {
    name: "an answer of another type is taken",
    file: `${FETCH}/decide.ts`,
    find: " || event.type !== type || ",
    replace: " || ",
    test: DECIDE,
  },
  {
    name: "push rules that cannot be found are deleted",
    file: `${FETCH}/decide.ts`,
    find: 'if (answer.kind === "absent" && type === PUSH_RULES) return "absent";',
    replace: "",
    test: DECIDE,
  },
  {
    name: "one who was banned is invited by an old word",
    file: `${FETCH}/decide.ts`,
    find: "stored !== Membership.ban && !isStripped(stored);",
    replace: "!isStripped(stored);",
    test: DECIDE,
  },
  {
    name: "content that looks like an event is one",
    file: "src/homeserver/value-reads.ts",
    find: "if (knowsFormat === true) return answer;",
    replace: 'if (knowsFormat !== undefined || answer.kind === "found") return answer;',
    test: READS,
  },
  {
    name: "a state key leads to another path",
    file: "src/homeserver/value-reads.ts",
    find: " && !isDots(type) && !isDots(stateKey)",
    replace: "",
    test: READS,
  },
];

const asking: readonly Mutant[] = [
  {
    name: "what comes up while it is asked is not asked again",
    file: `${FETCH}/fetch-queue.ts`,
    find: "known.isAskedAgain ||= known.isBeingAsked;",
    replace: "",
    test: QUEUE,
  },
  {
    name: "one question that always fails holds up its room",
    file: `${FETCH}/lane.ts`,
    find: "this.hasFailed ? 1 : BUNDLE_QUESTIONS",
    replace: "BUNDLE_QUESTIONS",
    test: QUEUE,
  },
  {
    name: "a question is given up while the homeserver is away",
    file: `${FETCH}/fetch-queue.ts`,
    find: "question.failures > MAX_FAILURES && !isOutage(error) && ",
    replace: "question.failures > MAX_FAILURES && ",
    test: QUEUE,
  },
  {
    name: "a question that nobody can ask is kept for ever",
    file: `${FETCH}/fetch-queue.ts`,
    find: "if (question.failures > MAX_FAILURES && ",
    replace: "if (question.failures > 1e9 && ",
    test: QUEUE,
  },
  {
    name: "the budget of a user is not kept",
    file: `${FETCH}/fetch-queue.ts`,
    find: "const costMs = (questions.size + 1) * MS_PER_CALL;",
    replace: "const costMs = questions.size * MS_PER_CALL * 0;",
    test: QUEUE,
  },
];

const FETCH_RUN = "test/service/intake-fetch.test.ts";
const DRIFT = "test/service/intake-drift.test.ts";

const kept: readonly Mutant[] = [
  {
    name: "what is open is forgotten with the process",
    file: `${INGEST}/contest-rows.ts`,
    find: 'contest.kind !== "state" || !contest.isMissing;',
    replace: 'contest.kind !== "state" && contest.roomId === "";',
    test: FETCH_RUN,
  },
  {
    name: "what was answered stays open",
    file: `${FETCH}/create-fetch-queue.ts`,
    find: 'if (outcome !== "dropped" && isKept(contest)) answered.push',
    replace: 'if (outcome === "dropped" && isKept(contest)) answered.push',
    test: FETCH_RUN,
  },
  {
    name: "a list of joined rooms that is none has no rooms",
    file: "src/homeserver/value-reads.ts",
    find: "if (Array.isArray(rooms) && rooms.every(isRoomId)) return new Set(rooms);",
    replace: "return new Set(Array.isArray(rooms) ? rooms.filter(isRoomId) : []);",
    test: DRIFT,
  },
  {
    name: "rooms are compared with every return of a device",
    file: "src/store/reconcile.ts",
    find: "reconciled_at IS NULL OR reconciled_at < now()",
    replace: "reconciled_at IS NULL OR now() > now()",
    test: DRIFT,
  },
  {
    name: "a membership that was stored since counts as drift",
    file: `${FETCH}/drift.ts`,
    find: "(stored.get(roomId)?.since ?? 0) <= storedBefore;",
    replace: "(stored.get(roomId)?.since ?? 0) >= 0 || storedBefore < 0;",
    test: "test/unit/intake/drift.test.ts",
  },
];

const whole: readonly Mutant[] = [
  {
    name: "whoever refuses to say that a user is in a room puts them out of it",
    file: "src/intake/fetch/decide.ts",
    find: 'own.kind === "refused" && own.errcode !== "M_FORBIDDEN"',
    replace: 'own.kind === "refused" && own.status >= 500',
    test: "test/unit/intake/fetch-decide.test.ts",
  },
  {
    name: "that there is no value stands against what was stored since",
    file: `${INGEST}/room-draft.ts`,
    find: "const isProven = wasStoredBefore(stored.position, fold.source);",
    replace: 'const isProven = fold.source.poll === "asked";',
    test: "test/unit/intake/retracted-state.test.ts",
  },
  {
    name: "who was told all members has them after a gap as well",
    file: "src/engine/rooms/all-members.ts",
    find: "membersKnownAt === undefined || membersKnownAt > toldUpTo ?",
    replace: "membersKnownAt === undefined || membersKnownAt > Math.max(toldUpTo, membersKnownAt) ?",
    test: "test/unit/engine/all-members.test.ts",
  },
  {
    name: "no answer waits for members that are on their way",
    file: "src/sync/await-members.ts",
    find: "const waitMs = Math.min(membersWaitMs, timeoutMs / 2);",
    replace: "const waitMs = Math.min(0, timeoutMs / 2);",
    test: "test/service/members.test.ts",
  },
];

export const mutants: readonly Mutant[] = [...contests, ...answers, ...asking, ...kept, ...whole];
