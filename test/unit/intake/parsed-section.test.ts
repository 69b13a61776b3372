import { describe, expect, test } from "@jest/globals";
import type { BadEvent } from "../../../src/intake/response/parse-event.ts";
import { type ParsedSection, parseSection } from "../../../src/intake/response/parsed-section.ts";
import { emptySection, type RoomSection, type SectionKind } from "../../../src/intake/response/room-section.ts";
import type { RoomId } from "../../../src/model/ids.ts";
import { message, name, state } from "../../support/v2-events.ts";

const raws = (events: readonly unknown[]): Buffer[] => events.map((event) => Buffer.from(JSON.stringify(event)));

interface Given {
  readonly kind?: SectionKind;
  readonly timeline?: readonly unknown[];
  readonly state?: readonly unknown[];
  readonly stateAfter?: readonly unknown[];
  readonly prevBatch?: string;
}

function parse(given: Given): ParsedSection & { readonly bad: readonly BadEvent[] } {
  const section: RoomSection = emptySection(given.kind ?? "join", "!r:test" as RoomId);
  section.timeline.push(...raws(given.timeline ?? []));
  section.state.push(...raws(given.state ?? []));
  if (given.stateAfter !== undefined) section.stateAfter = raws(given.stateAfter);
  section.prevBatch = given.prevBatch;
  const bad: BadEvent[] = [];
  return { ...parseSection(section, (event) => bad.push(event)), bad };
}

const idsOf = (events: ParsedSection["timeline"]) => events.map(({ eventId }) => eventId);

describe("a section", () => {
  test("has its timeline in order, each event once", () => {
    const { timeline, fault } = parse({ timeline: [message("$a"), message("$b"), message("$a"), message("$c")] });
    expect([idsOf(timeline), fault]).toEqual([["$a", "$b", "$c"], undefined]);
  });

  test("has of an event that comes twice the copy in redacted form, where the first one was", () => {
    const redacted = message("$a", { content: {}, unsigned: { redacted_because: message("$r") } });
    for (const copies of [
      [message("$a"), message("$b"), redacted],
      [redacted, message("$b"), message("$a")],
    ]) {
      const { timeline } = parse({ timeline: copies });
      expect(timeline.map(({ eventId, redactedBy }) => [eventId, redactedBy])).toEqual([
        ["$a", "$r"],
        ["$b", undefined],
      ]);
    }
  });

  test("has state_after for its state where there is one, be it empty", () => {
    const before = parse({ state: [name("$before", "x")] });
    expect([idsOf(before.state), before.isStateAfter]).toEqual([["$before"], false]);
    const after = parse({ state: [name("$before", "x")], stateAfter: [] });
    expect([idsOf(after.state), after.isStateAfter]).toEqual([[], true]);
  });

  test("loses a message that cannot be stored, and nothing else", () => {
    const { timeline, bad, fault } = parse({ timeline: [message("$a"), { type: 5 }, message("$b")] });
    expect([idsOf(timeline), bad.length, fault]).toEqual([["$a", "$b"], 1, undefined]);
  });

  test("whose first event cannot be stored has no token that stands before its first one", () => {
    expect(parse({ timeline: [message("$a"), { type: 5 }], prevBatch: "p" }).prevBatch).toBe("p");
    expect(parse({ timeline: [{ type: 5 }, message("$a")], prevBatch: "p" }).prevBatch).toBeUndefined();
    expect(parse({ timeline: [message("$a")], state: [{}], prevBatch: "p" }).prevBatch).toBe("p");
  });

  test("with a state event that cannot be stored says why its room must be set aside", () => {
    const broken = { ...name("$a", "x"), event_id: 7 };
    expect(parse({ timeline: [broken] }).fault).toBe("m.room.name: event_id is not an event id");
    expect(parse({ state: [broken] }).fault).toBe("m.room.name: event_id is not an event id");
    expect(parse({ state: ["text"] }).fault).toBe("state event: not a JSON object");
  });

  test("whose state holds an event without a state key is faulty", () => {
    const { state: parsed, fault, bad } = parse({ state: [message("$a")] });
    expect([parsed, fault, bad.length]).toEqual([[], "m.room.message: state_key is missing", 1]);
  });

  test("is encrypted when it holds encryption, be it one that cannot be stored", () => {
    const encryption = state("$e", "m.room.encryption", { algorithm: "x" });
    const { event_id: _, ...withoutId } = encryption;
    const { state_key: __, ...withoutKey } = encryption;
    expect(parse({ timeline: [encryption] }).isEncrypted).toBe(true);
    expect(parse({ stateAfter: [encryption] }).isEncrypted).toBe(true);
    expect(parse({ timeline: [withoutId] }).isEncrypted).toBe(true);
    expect(parse({ state: [withoutKey] }).isEncrypted).toBe(true);
    expect(parse({ timeline: [withoutKey] }).isEncrypted).toBe(false);
    expect(parse({ timeline: [{ ...encryption, state_key: "x" }] }).isEncrypted).toBe(false);
  });

  test("of an invite or knock has no events, whatever the body holds", () => {
    for (const kind of ["invite", "knock"] as const) {
      const {
        timeline,
        state: parsed,
        fault,
      } = parse({ kind, timeline: [message("$a")], state: [{}, name("$n", "x")] });
      expect([timeline, parsed, fault]).toEqual([[], [], undefined]);
    }
  });
});
