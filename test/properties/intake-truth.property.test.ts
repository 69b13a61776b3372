import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { deed } from "../support/intake-truth/deeds.ts";
import { runTruth } from "../support/intake-truth/run-truth.ts";

const CASES = 400;
/** The cases that every run looks at. For others: `TRUTH_SEED=7 npm test -- intake-truth`. */
const SEED = Number(process.env.TRUTH_SEED ?? 1);

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

const device = fc.nat(3);
const ofDevice = (does: "poll" | "store room" | "store" | "lose") => fc.record({ does: fc.constant(does), device });

const step = fc.oneof(
  { weight: 12, arbitrary: deed },
  { weight: 5, arbitrary: ofDevice("poll") },
  { weight: 1, arbitrary: ofDevice("store room") },
  { weight: 5, arbitrary: ofDevice("store") },
  { weight: 1, arbitrary: ofDevice("lose") },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("ask" as const) }) },
  { weight: 2, arbitrary: fc.record({ does: fc.constant("answer" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constant("restart" as const) }) },
);

const plan = fc.record({
  hasStateAfter: fc.boolean(),
  timelineLimit: fc.constantFrom(1, 2, 5, 20),
  /** Devices of each user who uses the product; one more user does not. */
  devices: fc.array(fc.integer({ min: 1, max: 2 }), { minLength: 2, maxLength: 3 }),
  steps: fc.array(step, { minLength: 20, maxLength: 50, size: "max" }),
});

let cases = 0;

test("whatever comes late, twice or not at all, the store ends equal to the homeserver", async () => {
  await fc.assert(
    fc.asyncProperty(plan, async (each) => {
      cases += 1;
      expect(await runTruth(db, cases, each)).toEqual([]);
    }),
    { numRuns: CASES, seed: SEED },
  );
}, 120_000);
