import { describe, expect, test } from "@jest/globals";
import { type Placement, placeBatch } from "../../../src/intake/ingest/place.ts";
import type { ChunkNid, UserNid } from "../../../src/model/ids.ts";
import { type Landmark, ORDER_KEY_STEP } from "../../../src/model/room-facts.ts";

const ALICE = 1 as UserNid;
const BOB = 2 as UserNid;
const CHUNK = 100 as ChunkNid;

/** A stored timeline, oldest first: order key, chunk, and whether that is attested for one user alone or follows a hole. */
interface Stored {
  readonly orderKey: number;
  readonly chunk?: number;
  readonly attestedFor?: UserNid;
  readonly isAfterHole?: boolean;
}

interface Given {
  readonly stored?: readonly Stored[];
  /** A chunk without an event at the end of the room; it begins after a hole. */
  readonly tail?: { readonly chunk: number; readonly attestedFor?: UserNid };
  /** Order keys of known events, `null` for unknown ones. */
  readonly batch: readonly (number | null)[];
  readonly limited?: boolean;
  readonly reachesEnd?: boolean;
  readonly attestedFor?: UserNid;
}

/** What the chunks of a batch that begin say together; undefined: none begins. */
interface Placed extends Placement {
  readonly newChunkContinues: boolean | undefined;
}

function place({ stored = [], tail, batch, limited = false, reachesEnd = true, attestedFor }: Given): Placed {
  const rows = stored.map(({ chunk = CHUNK, isAfterHole = false, ...row }) => {
    return { ...row, chunk: chunk as ChunkNid, attestedFor: row.attestedFor, continues: !isAfterHole };
  });
  const landmarks = batch.map((orderKey): Landmark | undefined => {
    const at = rows.findIndex((row) => row.orderKey === orderKey);
    const row = rows[at];
    return row && { ...row, previous: rows[at - 1], next: rows[at + 1] };
  });
  const last = rows.at(-1);
  const empty = { attestedFor: undefined, ...tail, chunk: tail?.chunk as ChunkNid, continues: false };
  const end = tail === undefined || last === undefined ? last : { ...empty, orderKey: last.orderKey };
  const tailFacts = end && last && { ...end, eventChunk: last.chunk };
  const placed = placeBatch(landmarks, tailFacts, { limited, reachesEnd, attestedFor });
  const { started } = placed;
  return {
    ...placed,
    newChunkContinues: started.length === 0 ? undefined : started.every(({ continues }) => continues),
  };
}

/** `key@chunk`, or `-` for an event that keeps its place. */
const shown = ({ places }: Placement) =>
  places
    .map((each) =>
      each === undefined ? "-" : `${each.orderKey}@${typeof each.chunk === "number" ? each.chunk : "new"}`,
    )
    .join(" ");

const at = (...orderKeys: number[]): Stored[] => orderKeys.map((orderKey) => ({ orderKey }));
const END = 1_000;
const past = (steps: number, end = END) => end + steps * ORDER_KEY_STEP;

describe("a batch without a known event", () => {
  test("of a room without events starts its first chunk, which follows nothing", () => {
    for (const limited of [false, true]) {
      const placed = place({ batch: [null, null], limited });
      expect(shown(placed)).toBe(`${past(1, 0)}@new ${past(2, 0)}@new`);
      expect(placed.newChunkContinues).toBe(false);
    }
  });

  test("goes to the end, and the last chunk goes on", () => {
    const placed = place({ stored: at(END), batch: [null, null] });
    expect(shown(placed)).toBe(`${past(1)}@100 ${past(2)}@100`);
    expect(placed.newChunkContinues).toBeUndefined();
    expect(placed.places.every((each) => each?.isAtEnd)).toBe(true);
  });

  test("that is limited starts a chunk after a hole", () => {
    const placed = place({ stored: at(END), batch: [null], limited: true });
    expect([shown(placed), placed.newChunkContinues]).toEqual([`${past(1)}@new`, false]);
  });

  test("that is attested for others starts a chunk without a hole", () => {
    const forAlice: Stored = { orderKey: END, attestedFor: ALICE };
    const cases = [
      place({ stored: at(END), batch: [null], attestedFor: ALICE }),
      place({ stored: [forAlice], batch: [null] }),
      place({ stored: [forAlice], batch: [null], attestedFor: BOB }),
    ];
    for (const placed of cases) expect([shown(placed), placed.newChunkContinues]).toEqual([`${past(1)}@new`, true]);
    expect(shown(place({ stored: [forAlice], batch: [null], attestedFor: ALICE }))).toBe(`${past(1)}@100`);
  });

  test("keeps a hole that is noted at the end", () => {
    for (const attestedFor of [undefined, ALICE]) {
      const placed = place({
        stored: at(END),
        tail: { chunk: 101 },
        batch: [null],
        ...(attestedFor && { attestedFor }),
      });
      expect([shown(placed), placed.newChunkContinues]).toEqual(
        attestedFor === undefined ? [`${past(1)}@101`, undefined] : [`${past(1)}@new`, false],
      );
    }
  });

  test("may be empty", () => {
    for (const limited of [false, true]) {
      expect(place({ stored: at(END), batch: [], limited })).toEqual({
        places: [],
        started: [],
        newChunkContinues: undefined,
        joined: [],
      });
    }
  });
});

describe("a batch with known events", () => {
  test.each([
    ["a known batch keeps its places", [100, 900], [100, 900], "- -"],
    ["after the last event of the room", [900, END], [900, END, null, null], `- - ${past(1)}@100 ${past(2)}@100`],
    ["between two that are known", [100, 500], [100, null, 500], "- 300@100 -"],
    ["several between two", [100, 500], [100, null, null, null, 500], "- 200@100 300@100 400@100 -"],
    ["after a known one, before others that the batch does not have", [100, 200, 600], [100, null, 600], "- 150@100 -"],
    ["before the first known one, after what stands there", [100, 500], [null, 500], "300@100 -"],
    ["before the first event of the room", [END], [null, null, END], `${past(-2)}@100 ${past(-1)}@100 -`],
    ["after all, where nothing is missing after the last known one", [100, 500, END], [100, null], `- ${past(1)}@100`],
  ] as const)("places %s", (_, stored, batch, expected) => {
    for (const limited of [false, true]) {
      const placed = place({ stored: at(...stored), batch, limited });
      expect(shown(placed)).toBe(expected);
      expect(placed.newChunkContinues).toBeUndefined();
    }
  });

  test("in another order than the room's leaves the known ones where they are", () => {
    expect(shown(place({ stored: at(100, 500, 600), batch: [500, null, 100] }))).toBe("- 550@100 -");
    const twice = place({ stored: at(100, 500), batch: [null, 500, 100, null, null] });
    expect(shown(twice)).toBe(`${past(-1, 100)}@100 - - ${past(1, 500)}@100 ${past(2, 500)}@100`);
  });

  test("tells which events are at the end", () => {
    const { places } = place({ stored: at(100, 500), batch: [null, 100, null, 500, null] });
    expect(places.map((each) => each?.isAtEnd)).toEqual([false, undefined, false, undefined, true]);
  });

  test("that has another order puts what is before all its known events before them", () => {
    expect(shown(place({ stored: at(100, 500, 900), batch: [null, 900, 500] }))).toBe("300@100 - -");
  });

  test("that has another order puts later ones after earlier ones", () => {
    const stored: Stored[] = [...at(100, 500), { orderKey: END, chunk: 101, isAfterHole: true }];
    expect(shown(place({ stored, batch: [500, null, 100, null] }))).toBe("- 750@100 - 875@100");
  });

  test("puts what follows the last known one right after it, before a hole", () => {
    const stored: Stored[] = [{ orderKey: 100 }, { orderKey: 500, chunk: 101, isAfterHole: true }];
    for (const reachesEnd of [true, false]) {
      expect(shown(place({ stored, batch: [100, null], reachesEnd }))).toBe("- 300@100");
    }
  });

  test("of a reader who left goes to the end, where nothing is missing before that", () => {
    expect(shown(place({ stored: at(100, END), batch: [100, null], reachesEnd: false }))).toBe(`- ${past(1)}@100`);
    expect(shown(place({ stored: at(END), batch: [END, null], reachesEnd: false }))).toBe(`- ${past(1)}@100`);
  });

  test("that may lack what others brought after its last known event goes to the end", () => {
    const placed = place({ stored: at(100, END), batch: [100, null], attestedFor: ALICE });
    expect([shown(placed), placed.newChunkContinues]).toEqual([`- ${past(1)}@new`, true]);
    expect(shown(place({ stored: at(100, 500), batch: [100, null, 500], attestedFor: ALICE }))).toBe("- 300@100 -");
    const own: Stored[] = at(100, END).map((each) => ({ ...each, attestedFor: ALICE }));
    expect(shown(place({ stored: own, batch: [100, null], attestedFor: ALICE }))).toBe(`- ${past(1)}@100`);
  });

  test("that may lack what others brought goes to the end after a hole, where other chunks follow its last known event", () => {
    for (const isAfterHole of [false, true]) {
      const stored: Stored[] = [{ orderKey: 100 }, { orderKey: END, chunk: 101, isAfterHole }];
      const placed = place({ stored, batch: [100, null], attestedFor: ALICE });
      expect([shown(placed), placed.newChunkContinues]).toEqual([`- ${past(1)}@new`, false]);
    }
  });

  test("that is attested for others does not make chunks longer, into a hole or before their beginning", () => {
    const stored: Stored[] = [{ orderKey: 100 }, { orderKey: 500, chunk: 101, isAfterHole: true }];
    const into = place({ stored, batch: [100, null], attestedFor: ALICE, reachesEnd: false });
    expect([shown(into), into.newChunkContinues]).toEqual(["- 300@new", true]);
    const before = place({ stored, batch: [null, 500], attestedFor: ALICE });
    expect([shown(before), before.newChunkContinues]).toEqual(["300@new -", false]);
    const both = place({ stored, batch: [null, 500, null], attestedFor: ALICE });
    expect([shown(both), both.newChunkContinues]).toEqual([`300@new - ${past(1, 500)}@new`, false]);
  });

  test("that may lack what others brought has no place where nothing is missing: what is unknown stands elsewhere", () => {
    const continued: Stored[] = [{ orderKey: 100 }, { orderKey: END, chunk: 101, attestedFor: BOB }];
    for (const stored of [at(100, END), continued]) {
      const before = place({ stored, batch: [null, null, END, null], attestedFor: ALICE });
      expect(shown(before)).toMatch(/^- - - \d+@\w+$/);
      expect(
        shown(place({ stored: [...stored, { orderKey: past(1) }], batch: [100, null, past(1)], attestedFor: ALICE })),
      ).toBe("- - -");
    }
    // Without a hole after it, the departure of one who left is before or after what others have there.
    expect(shown(place({ stored: continued, batch: [100, null], attestedFor: ALICE, reachesEnd: false }))).toBe("- -");
    expect(shown(place({ stored: at(END), batch: [null, END], attestedFor: ALICE }))).toBe(`${past(-1)}@new -`);
  });

  test("goes after a hole at the end, where nothing is missing from its last known event up to there", () => {
    const stored = at(100, END);
    const placed = place({ stored, tail: { chunk: 101 }, batch: [100, null] });
    expect([shown(placed), placed.newChunkContinues]).toEqual([`- ${past(1)}@new`, false]);
  });

  test("whose events find no room between two others puts them to the end, after a hole", () => {
    const placed = place({ stored: at(100, 101), batch: [100, null, 101, null] });
    expect(shown(placed)).toBe(`- ${past(1, 101)}@new - ${past(2, 101)}@new`);
    expect(placed.newChunkContinues).toBe(false);
    expect(placed.places[1]?.isAtEnd).toBe(true);
  });
});

describe("a hole before a chunk is closed", () => {
  const stored: Stored[] = [
    { orderKey: 100, chunk: 100 },
    { orderKey: 500, chunk: 101, isAfterHole: true },
  ];

  test("by a batch that has the events on both sides of it", () => {
    expect(place({ stored, batch: [100, 500] }).joined).toEqual([101]);
    expect(place({ stored, batch: [100, null, null, 500] }).joined).toEqual([101]);
  });

  test("not by one that has only one side, or an event of the room between them less", () => {
    expect(place({ stored, batch: [null, 500] }).joined).toEqual([]);
    expect(place({ stored, batch: [100, null], reachesEnd: false }).joined).toEqual([]);
    const more: Stored[] = [stored[0]!, { orderKey: 200, chunk: 100 }, stored[1]!];
    expect(place({ stored: more, batch: [100, 500] }).joined).toEqual([]);
    expect(place({ stored: more, batch: [100, null, 500] }).joined).toEqual([]);
    expect(place({ stored: more, batch: [200, 500] }).joined).toEqual([101]);
  });

  test("only for those for whom the batch is attested", () => {
    expect(place({ stored, batch: [100, 500], attestedFor: ALICE }).joined).toEqual([]);
    const forAlice: Stored[] = [stored[0]!, { ...stored[1]!, attestedFor: ALICE }];
    expect(place({ stored: forAlice, batch: [100, 500], attestedFor: ALICE }).joined).toEqual([101]);
    expect(place({ stored: forAlice, batch: [100, 500], attestedFor: BOB }).joined).toEqual([]);
    expect(place({ stored: forAlice, batch: [100, 500] }).joined).toEqual([101]);
  });

  test("by what follows the room's last event, though nothing stands behind the hole yet", () => {
    const placed = place({ stored: at(END), tail: { chunk: 101 }, batch: [END, null] });
    expect([shown(placed), placed.joined]).toEqual([`- ${past(1)}@101`, [101]]);
    const limited = place({ stored: at(END), tail: { chunk: 101 }, batch: [null], limited: true });
    expect(limited.joined).toEqual([]);
    const ofAlice = place({ stored: at(END), tail: { chunk: 101 }, batch: [END, null], attestedFor: ALICE });
    expect([shown(ofAlice), ofAlice.joined, ofAlice.newChunkContinues]).toEqual([`- ${past(1)}@new`, [], true]);
  });

  test("once", () => {
    const joined: Stored[] = [stored[0]!, { orderKey: 500, chunk: 101 }];
    expect(place({ stored: joined, batch: [100, 500] }).joined).toEqual([]);
  });
});
