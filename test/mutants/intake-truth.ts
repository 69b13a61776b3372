import type { Mutant } from "./mutant.ts";

const INGEST = "src/intake/ingest";
const TIMELINE = "test/unit/intake/room-timeline.test.ts";
const WIDEN = "test/unit/intake/widen.test.ts";
const TRUTH = "test/properties/intake-truth.property.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "a slow response without known events goes to the end of the room",
    file: `${INGEST}/timeline-draft.ts`,
    find: "this.#endStoredAt === undefined || this.#endStoredAt > source.storedBefore;",
    replace: "false;",
    test: TIMELINE,
  },
  {
    name: "a chunk goes on where a timeline was cut",
    file: `${INGEST}/place.ts`,
    find: "tail !== undefined && !batch.limited &&",
    replace: "tail !== undefined &&",
    test: TRUTH,
  },
  {
    name: "what somebody saw last who left is the end of the room",
    file: `${INGEST}/timeline-draft.ts`,
    find: 'return section.kind === "leave" || ',
    replace: "return ",
    test: TIMELINE,
  },
  {
    name: "what follows a known event stands before later ones of the same response",
    file: `${INGEST}/place.ts`,
    find: "furthest = further(furthest, landmarks[index]);",
    replace: "furthest = landmarks[index];",
    test: "test/unit/intake/place.test.ts",
  },
  {
    name: "who ignores others puts events between what nothing is missing between",
    file: `${INGEST}/place.ts`,
    find: "return this.#batch.attestedFor !== undefined && isWhole(older, younger);",
    replace: "return false;",
    test: "test/unit/intake/place.test.ts",
  },
  {
    name: "what follows a known event is the end of the room, whatever came since it was asked for",
    file: `${INGEST}/timeline-draft.ts`,
    find: 'return section.kind === "join" && isStoredSince && this.#isTrailUnsure(furthest, source, attestedFor);',
    replace: "return false;",
    test: TIMELINE,
  },
  {
    name: "a hole after the last event hides that nothing is missing before it",
    file: `${INGEST}/place.ts`,
    find: "chunk === this.#tail?.eventChunk;",
    replace: "chunk === this.#tail?.chunk;",
    test: "test/unit/intake/place.test.ts",
  },
  {
    name: "what one who ignores somebody brought first stays theirs",
    file: `${INGEST}/timeline-draft.ts`,
    find: "const widened = attestedFor === undefined ?",
    replace: "const widened = false ?",
    test: WIDEN,
  },
  {
    name: "one who ignores somebody attests for everybody what another of them brought",
    file: `${INGEST}/timeline-draft.ts`,
    find: "const widened = attestedFor === undefined ?",
    replace: "const widened = true ?",
    test: WIDEN,
  },
  {
    name: "events are attested for everybody across others that the batch does not have",
    file: `${INGEST}/widen.ts`,
    find: "if (newer !== undefined && landmark.next?.orderKey !== newer.orderKey) break;",
    replace: "",
    test: WIDEN,
  },
  {
    name: "the rest of a chunk has a hole where its first events moved",
    file: `${INGEST}/widen.ts`,
    find: "(isToEnd ? emptied : joined)",
    replace: "emptied",
    test: WIDEN,
  },
  {
    name: "a long response leaves no time to live ones",
    file: `${INGEST}/writer.ts`,
    find: "if (isLive) await sleep(tookMs * BULK_REST_SHARE);",
    replace: "",
    test: "test/service/intake-lanes.test.ts",
  },
  {
    name: "an arrival without a place opens what was stored before",
    file: `${INGEST}/own-membership.ts`,
    find: "undefined : (from ?? NO_PLACE_YET);",
    replace: "undefined : from;",
    test: "test/unit/intake/own-membership.test.ts",
  },
  {
    name: "whatever comes last is current, however long ago it was asked for",
    file: `${INGEST}/state-claim.ts`,
    find: "position !== undefined && position <= storedBefore;",
    replace: "position !== undefined && storedBefore >= 0;",
    test: "test/unit/intake/state-claims.test.ts",
  },
];
