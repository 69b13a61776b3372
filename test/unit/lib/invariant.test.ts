import { expect, test } from "@jest/globals";
import { InvariantError, invariant } from "../../../src/lib/invariant.ts";

test("an invariant that does not hold stops the work with its claim", () => {
  expect(() => invariant(false, "positions only grow")).toThrow(new InvariantError("positions only grow"));
  expect(() => invariant(true, "positions only grow")).not.toThrow();
});
