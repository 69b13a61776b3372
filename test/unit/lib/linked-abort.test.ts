import { getEventListeners } from "node:events";
import { expect, test } from "@jest/globals";
import { LinkedAbort } from "../../../src/lib/linked-abort.ts";

test("it aborts as the other one does, with its reason", () => {
  const outer = new AbortController();
  using linked = new LinkedAbort(outer.signal);
  expect(linked.signal.aborted).toBe(false);
  outer.abort("gone");
  expect([linked.signal.aborted, linked.signal.reason]).toEqual([true, "gone"]);
  using late = new LinkedAbort(outer.signal);
  expect(late.signal.reason).toBe("gone");
});

test("it aborts when it is told to, and the other one does not", () => {
  const outer = new AbortController();
  using linked = new LinkedAbort(outer.signal);
  linked.abort(new RangeError("enough"));
  outer.abort("gone");
  expect(linked.signal.reason).toBeInstanceOf(RangeError);
  expect(outer.signal.reason).toBe("gone");
});

test("once it is disposed it leaves no listener behind", () => {
  const { signal } = new AbortController();
  for (let round = 0; round < 100; round++) new LinkedAbort(signal)[Symbol.dispose]();
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
