import { expect, test } from "@jest/globals";
import { killRounds } from "../support/kills/kill-rounds.ts";

/** A round takes two seconds on a quiet machine. */
const LIMIT_MS = 170_000;

test(
  "clients go on where they were when the serving process dies, alone or with the intake process",
  async () => {
    await expect(killRounds(["serving", "both"], [42, 164, 40, 19, 46, 184, 280, 12])).resolves.toBeUndefined();
  },
  LIMIT_MS,
);
