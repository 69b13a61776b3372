import { expect, test } from "@jest/globals";
import { killRounds } from "../support/kills/kill-rounds.ts";

/** A round takes two seconds on a quiet machine. */
const LIMIT_MS = 170_000;

test(
  "nothing is lost or doubled when the intake process dies or loses its connection to the database",
  async () => {
    await expect(
      killRounds(["intake", "connection"], [75, 269, 42, 193, 164, 74, 254, 29, 8, 228, 25, 13]),
    ).resolves.toBeUndefined();
  },
  LIMIT_MS,
);
