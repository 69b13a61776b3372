import type { Mutant } from "./mutant.ts";

const DRAFT = "src/intake/ingest/redaction-draft.ts";
const BODY = "src/intake/ingest/redacted-body.ts";
const ORDER = "test/properties/redactions.property.test.ts";
const TABLE = "test/unit/intake/redacted-body.test.ts";
const STORED = "test/service/intake-redactions.test.ts";
const ANSWERS = "test/service/sync-redactions.test.ts";

export const mutants: readonly Mutant[] = [
  {
    name: "what comes after its redaction is stored whole",
    file: DRAFT,
    find: "else if (this.#redacted.has(eventId) && this.#isNewAndWhole(eventId)) this.#redact(eventId, version);",
    replace: "",
    test: ORDER,
  },
  {
    name: "a copy in redacted form does not replace what is stored",
    file: DRAFT,
    find: "if (!isKnown) this.#mark(eventId, redaction);",
    replace: "if (!isKnown) return this.#mark(eventId, redaction);",
    test: ORDER,
  },
  {
    name: "the content of redacted state lives on in the state after it",
    file: DRAFT,
    find: "if (text.previous === original) unsigned = ",
    replace: "if (text.previous === original) void ",
    test: ORDER,
  },
  {
    name: "a redaction that is redacted lives on in what it redacted",
    file: DRAFT,
    find: "if (original && this.#redacted.has(original)) this.#repeat(eventId, original, version);",
    replace:
      "if (original === previous && original && this.#redacted.has(original)) this.#repeat(eventId, original, version);",
    test: STORED,
  },
  {
    name: "a redaction of a redaction stops at what is not stored",
    file: DRAFT,
    find: "this.#redactionOf(eventId) ?? redactedBody(redaction, REDACTION, version)",
    replace: "this.#redactionOf(eventId) ?? redaction",
    test: STORED,
  },
  {
    name: "the creation of a room can be redacted",
    file: DRAFT,
    find: "if (text?.type === CREATE) return;",
    replace: "",
    test: STORED,
  },
  {
    name: "a slow stream brings a redacted name back",
    file: "src/intake/ingest/room-draft.ts",
    find: "    this.#keepRedacted(fold.section);\n",
    replace: "",
    test: "test/service/intake-redactions.test.ts",
  },
  {
    name: "a room keeps the name that was redacted",
    file: "src/intake/ingest/room-draft.ts",
    find: "?? (isCurrent ? nid : undefined)) !== nid) continue;",
    replace: ") !== nid) continue;",
    test: STORED,
  },
  {
    name: "clients are not told of state that was redacted",
    file: "src/intake/ingest/room-draft.ts",
    find: "if (!isStored || fold.isBaseline || changed.has(nid)) continue;",
    replace: "if (isStored || fold.isBaseline || changed.has(nid)) continue;",
    test: ANSWERS,
  },
  {
    name: "a room stays in memory as it was before the redaction",
    file: "src/intake/ingest/room-draft.ts",
    find: "fold.hasHistory ||= isStored;",
    replace: "",
    test: ANSWERS,
  },
  {
    name: "a redaction reaches into other rooms",
    file: "src/store/redactions.ts",
    find: "FROM redactions WHERE room = k.room AND event_id",
    replace: "FROM redactions WHERE event_id",
    test: STORED,
  },
  {
    name: "what is repeated of an event is not looked up",
    file: "src/store/redactions.ts",
    find: "SELECT nid FROM events WHERE previous = ANY($1::text[])",
    replace: "SELECT nid FROM events WHERE event_id = ANY($1::text[])",
    test: STORED,
  },
  {
    name: "what a redaction has redacted before is not looked up",
    file: "src/store/redactions.ts",
    find: "WHERE x.redaction = ANY($1::text[])",
    replace: "WHERE x.event_id = ANY($1::text[])",
    test: STORED,
  },
  {
    name: "anybody can redact in old rooms by their message's content",
    file: "src/intake/ingest/redaction-target.ts",
    find: "< FIRST_WITH_CONTENT) return redacts;",
    replace: "< FIRST_WITH_CONTENT) return redacts ?? storableEventId(content.redacts);",
    test: TABLE,
  },
  {
    name: "aliases outlive their redaction in newer rooms",
    file: BODY,
    find: '{ key: "aliases", to: 5 }',
    replace: '{ key: "aliases" }',
    test: TABLE,
  },
  {
    name: "all of a third-party invite outlives its redaction",
    file: BODY,
    find: ', from: 11, only: "signed" }',
    replace: ", from: 11 }",
    test: TABLE,
  },
  {
    name: "of two members with the same key the first one stays as well",
    file: BODY,
    find: "const members = [...lastOfEachKey.values()]",
    replace: "const members = (lastOfEachKey.size > 0 ? membersOf(object) : [])",
    test: TABLE,
  },
];
