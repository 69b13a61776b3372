// Nobody is shown what they may not see.
//
// The model (test/support/visibility/model.ts) says of each event, value, name, hero and count of a room whether a reader may know of
// it, from the room's true history and the rules of the Client-Server API. What is promised is that every answer keeps to that, with
// three things that nobody here can know of:
//
// * A departure has happened once a stored response told of it, whoever's it was: in a timeline, be it followed by a return, or in
//   state. From then on nothing is shown that was sent, set or counted after it, until the reader is in again. Until then a reader
//   whose own stream stands still is shown what others bring: they hide a departure only where they begin after it, since members
//   are lazy, or where a gap hides it. What somebody's section of a room that they left long ago tells of others is of then.
// * A value may be shown to who is in the room as long as nobody told that it was replaced, be it before they came; and while two
//   streams contradict each other, until the homeserver was asked. To who is out nothing of that is shown.
// * Counts of members are those that were told last. To who is in they may be older than their stay, to who is out never newer.
//
// Ignored users are hidden from the response on that had the list. Of invites and knocks the stripped state is shown that the reader's
// own stream had, and nothing else. Unread counts and heroes are those of the reader's own stream. A process that lags, or that is
// overtaken by what is stored while it answers, shows nothing of what came together with a departure, or after it.
//
// Receipts and typing are shown to who is in. Of others' receipts those on events that are stored are shown to who may see these; of
// an event that is not stored nobody here knows more than its id. Private receipts are shown to nobody else.
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import fc from "fast-check";
import { runVisibility, visibilityPlan } from "../support/visibility/run-visibility.ts";
import { startServing } from "../support/visibility/world.ts";

const CASES = 200;
/** The cases that every run looks at. For others: `VISIBILITY_SEED=7 npm test -- visibility`. */
const SEED = Number(process.env.VISIBILITY_SEED ?? 1);

let serving: Awaited<ReturnType<typeof startServing>>;
let cases = 0;

beforeAll(async () => {
  serving = await startServing();
});

afterAll(() => serving[Symbol.asyncDispose]());

test("nobody is shown what they may not see", async () => {
  let looks = 0;
  await fc.assert(
    fc.asyncProperty(visibilityPlan, async (plan) => {
      cases += 1;
      const seen = await runVisibility(serving, cases, plan);
      looks += seen.looks;
      expect(seen.violations).toEqual([]);
    }),
    { numRuns: CASES, seed: SEED },
  );
  // Answers said something.
  expect(looks).toBeGreaterThan(100 * CASES);
}, 120_000);
