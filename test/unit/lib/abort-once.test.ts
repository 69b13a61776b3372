import { expect, test } from "@jest/globals";
import { abortOnce } from "../../../src/lib/abort-once.ts";

test("what is aborted once more keeps its reason and tells nobody", () => {
  const controller = new AbortController();
  let told = 0;
  controller.signal.addEventListener("abort", () => {
    told += 1;
  });
  abortOnce(controller);
  const { reason } = controller.signal;
  abortOnce(controller);
  expect([controller.signal.aborted, told]).toEqual([true, 1]);
  expect(controller.signal.reason).toBe(reason);
});
