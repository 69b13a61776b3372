import type { Mutant } from "./mutant.ts";

const INGEST = "src/intake/ingest";
const POLLER = "src/intake/poller";
const ORDER = "test/properties/intake-order.property.test.ts";
const CLAIMS = "test/unit/intake/state-claims.test.ts";
const MEMBERSHIP = "test/unit/intake/own-membership.test.ts";
const HIDDEN = "test/unit/intake/hidden-history.test.ts";

const placing: readonly Mutant[] = [
  {
    name: "what follows the last known event of a reader who ignores somebody goes right after it",
    file: `${INGEST}/place.ts`,
    find: "if (this.#batch.attestedFor !== undefined && this.#batch.reachesEnd) return true;",
    replace: "",
    test: ORDER,
  },
  {
    name: "a chunk goes on after a gap",
    file: `${INGEST}/place.ts`,
    find: "tail !== undefined && !batch.limited &&",
    replace: "tail !== undefined &&",
    test: ORDER,
  },
  {
    name: "a chunk goes on with events that are attested for others",
    file: `${INGEST}/place.ts`,
    find: " && this.#tail?.attestedFor === this.#batch.attestedFor;",
    replace: ";",
    test: ORDER,
  },
  {
    name: "a hole is closed by a batch that has only one side of it",
    file: `${INGEST}/joined-chunks.ts`,
    find: "return isAttested && isNeighbour && ",
    replace: "return isAttested && ",
    test: ORDER,
  },
  {
    name: "where a stream goes on is not looked at",
    file: `${INGEST}/timeline-draft.ts`,
    find: "const anchor = isCut ? undefined : this.#anchor(source);",
    replace: "const anchor = isCut ? this.#anchor(source) : undefined;",
    test: ORDER,
  },
  {
    name: "a stream goes on before what came late and was there when it began",
    file: `${INGEST}/timeline-draft.ts`,
    find: " || !this.#isEndTold(source));",
    replace: " || source.nowUs >= 0);",
    test: "test/unit/intake/room-timeline.test.ts",
  },
  {
    name: "two runs of one batch get the same order keys",
    file: `${INGEST}/place.ts`,
    find: "const low = Math.max(orderKey, ...given.filter((key) => key < next.orderKey));",
    replace: "const low = given.length < 0 ? 0 : orderKey;",
    test: "test/unit/intake/place.test.ts",
  },
];

const leftOut: readonly Mutant[] = [
  {
    name: "what a first sync cannot have known counts as left out",
    file: "src/store/left-out.ts",
    find: "WHERE coalesce(c.position, 0) <= $3",
    replace: "WHERE coalesce(c.position, 0) <= $3 OR true",
    test: "test/service/intake-memberships.test.ts",
  },
];

const hidden: readonly Mutant[] = [
  {
    name: "what a user was not to see is taken for nothing",
    file: `${INGEST}/whole-from.ts`,
    find: "return inForce.some(hides) ? from : 0;",
    replace: "return inForce.some(hides) ? 0 : 0;",
    test: HIDDEN,
  },
  {
    name: "a change of visibility before a user's return is not looked at",
    file: `${INGEST}/whole-from.ts`,
    find: "const changes = timeline.slice(0, from).filter(isVisibilityEvent);",
    replace: "const changes = timeline.slice(0, 0).filter(isVisibilityEvent);",
    test: HIDDEN,
  },
  {
    name: "what a change of visibility replaced is not looked at",
    file: `${INGEST}/visibility-before.ts`,
    find: "if (replaced !== undefined) return replaced;",
    replace: "",
    test: HIDDEN,
  },
  {
    name: "account data makes a user come back",
    file: `${INGEST}/own-membership.ts`,
    find: "timeline.length + state.length === 0;",
    replace: "timeline.length + state.length < 0;",
    test: HIDDEN,
  },
];

const claims: readonly Mutant[] = [
  {
    name: "state is taken back by a slower stream",
    file: `${INGEST}/state-claim.ts`,
    find: "position !== undefined && position <= storedBefore;",
    replace: "position === undefined || storedBefore >= 0;",
    test: CLAIMS,
  },
  {
    name: "a stricter visibility waits for proof",
    file: `${INGEST}/state-claim.ts`,
    find: "isNew && (isDepartureOf(event, event.stateKey) || isStricter(event, visibility))",
    replace: "isNew && isDepartureOf(event, event.stateKey)",
    test: CLAIMS,
  },
  {
    name: "the section of a room that its user left years ago says what is current",
    file: `${INGEST}/state-claim.ts`,
    find: 'const tellsOfNow = section.kind !== "leave" || source.poll === "asked";',
    replace: "const tellsOfNow = true;",
    test: CLAIMS,
  },
  {
    name: "a room forgets that it is encrypted",
    file: `${INGEST}/room-draft.ts`,
    find: "isEncrypted: this.row.isEncrypted || section.isEncrypted,",
    replace: "isEncrypted: section.isEncrypted,",
    test: CLAIMS,
  },
  {
    name: "a user is let in again by what was on its way when they were kicked",
    file: `${INGEST}/own-membership.ts`,
    find: "before.membership === claimed || wasStoredBefore(before.since, source)",
    replace: "before.membership === claimed || source.storedBefore >= 0",
    test: MEMBERSHIP,
  },
  {
    name: "another user's departure waits for their own stream",
    file: `${INGEST}/departures.ts`,
    find: "if (change !== undefined) changes.set(userId, change);",
    replace: "",
    test: "test/unit/intake/departures.test.ts",
  },
  {
    name: "what was learnt long after it happened comes first in lists",
    file: `${INGEST}/section-fold.ts`,
    find: 'return this.source.poll === "live" && !this.isBaseline;',
    replace: "return !this.isBaseline;",
    test: "test/unit/intake/room-timeline.test.ts",
  },
];

const streams: readonly Mutant[] = [
  {
    name: "the next poll begins before a part of the response is stored",
    file: `${POLLER}/response-intake.ts`,
    find: "    await this.#store.bulk(part);",
    replace: "    void this.#store.bulk(part).catch(() => undefined);",
    test: "test/unit/intake/response-intake.test.ts",
  },
  {
    name: "a stream attests for everybody before it is known whom its user ignores",
    file: `${POLLER}/response-intake.ts`,
    find: "this.#part(this.#ignored())",
    replace: "this.#part(this.#ignored() ?? NOBODY)",
    test: "test/unit/intake/response-intake.test.ts",
  },
  {
    name: "a poller that lost its device moves its stream on",
    file: `${INGEST}/read-before.ts`,
    find: "if (device?.epoch === claim.epoch && device.since === end?.since.from) return;",
    replace: "if (device !== undefined && device.since === end?.since.from) return;",
    test: "test/service/intake-devices.test.ts",
  },
  {
    name: "to-device messages are stored back to front",
    file: "src/store/device-stream.ts",
    find: "head.sequence - $2 + m.n",
    replace: "head.sequence - m.n + 1",
    test: "test/service/intake-devices.test.ts",
  },
  {
    name: "receipts move back",
    file: `${INGEST}/personal-draft.ts`,
    find: "before === undefined || before < receipt.tsMs",
    replace: "before === undefined || before !== receipt.tsMs",
    test: "test/unit/intake/personal-draft.test.ts",
  },
  {
    name: "one room that the database refuses holds up its user's stream",
    file: `${INGEST}/writer.ts`,
    find: "if (!(fault instanceof DataError)) throw fault;",
    replace: "throw fault;",
    test: "test/service/intake-writer.test.ts",
  },
  {
    name: "a to-device message that was acknowledged is taken for one that comes again",
    file: `${POLLER}/stream-past.ts`,
    find: "if (!this.#isSame(since)) return messages;",
    replace: "",
    test: "test/unit/intake/poller.test.ts",
  },
  {
    name: "a new token is refused with the old one",
    file: `${POLLER}/poller.ts`,
    find: "else if (token === this.#token) return",
    replace: "else return",
    test: "test/unit/intake/poller.test.ts",
  },
  {
    name: "a device is not woken when its stream tells what it sent itself",
    file: `${INGEST}/room-draft.ts`,
    find: "fold.hasSent ||= isJustSent && !this.events.isNew(event.eventId);",
    replace: "fold.hasSent ||= isJustSent && this.events.isNew(event.eventId);",
    test: "test/unit/intake/fold-parts.test.ts",
  },
  {
    name: "a further device does not wait until another stream has told of everything before",
    file: "src/intake/poller/further-device.ts",
    find: "  if (!(await sibling.pollNow(signal))) return undefined;\n",
    replace: "",
    test: "test/unit/intake/further-device.test.ts",
  },
  {
    name: "a further device does not know where the rooms of the stream beside which it begins go on",
    file: "src/intake/poller/poller.ts",
    find: "    this.#lastSeen.noteAll(begun.lastSeen);\n",
    replace: "",
    test: "test/service/sync-own-events.test.ts",
  },
  {
    name: "a poll that must be new asks what was asked before",
    file: "src/intake/poller/poll-requests.ts",
    find: "isHurried ? this.#hurries % HURRIED_TIMEOUTS_MS : undefined",
    replace: "isHurried ? 1 : undefined",
    test: "test/unit/intake/further-device.test.ts",
  },
];

export const mutants: readonly Mutant[] = [...placing, ...leftOut, ...hidden, ...claims, ...streams];
