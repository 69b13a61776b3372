import { afterAll, beforeAll, describe, expect, test } from "@jest/globals";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import type { DEEDS } from "../support/intake-truth/deeds.ts";
import { runTruth, type TruthStep } from "../support/intake-truth/run-truth.ts";

let db: TestDatabase;
let cases = 0;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

/** By the user who made the room. */
const deed = (does: (typeof DEEDS)[number], { upon = 0, value = 0 } = {}): TruthStep => ({
  ...{ does, by: 0, room: 0 },
  ...{ upon, value },
});
const poll = (device: number): TruthStep => ({ does: "poll", device });
const store = (device: number): TruthStep => ({ does: "store", device });

describe("the store ends equal to the homeserver", () => {
  test.each([
    [
      "when a first sync without known events comes after newer ones",
      { timelineLimit: 1, devices: [2] },
      [deed("message"), poll(1), deed("message"), deed("message"), poll(0), store(0), store(1)],
    ],
    [
      "when a first sync tells of a ban with less than what came after it",
      { timelineLimit: 1, devices: [1, 1] },
      [deed("ban", { upon: 1 }), deed("message"), deed("message"), poll(0), store(0), poll(1), store(1)],
    ],
    [
      "when somebody who never was in a room is banned, and its history is hidden from them",
      { timelineLimit: 20, devices: [1, 1] },
      [
        ...[deed("visibility", { value: 1 }), deed("message"), poll(0), store(0)],
        ...[deed("ban", { upon: 1 }), poll(1), store(1)],
      ],
    ],
  ])("%s", async (_, plan, steps) => {
    cases += 1;
    expect(await runTruth(db, cases, { hasStateAfter: false, ...plan, steps })).toEqual([]);
  });
});
