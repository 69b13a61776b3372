import { expect, test } from "@jest/globals";
import { killRounds } from "../support/kills/kill-rounds.ts";

/** A round takes two seconds on a quiet machine. */
const LIMIT_MS = 170_000;

test(
  "nothing is lost or doubled when the database dies",
  async () => {
    await expect(
      killRounds(["postmaster", "immediate"], [48, 373, 42, 74, 164, 254, 21, 46, 341, 2]),
    ).resolves.toBeUndefined();
  },
  LIMIT_MS,
);
