import { expect, test } from "@jest/globals";
import { ReadinessState } from "../../src/readiness.ts";

function newState({ behindMs = 0, isReachable = true, missing = [] as readonly string[] } = {}) {
  const query = async () => {
    if (!isReachable) throw new Error("no connection");
    return [];
  };
  return new ReadinessState({ db: { query }, follower: { behindMs }, missing: () => missing });
}

test("what has started and follows the stream is ready", async () => {
  const state = newState({ behindMs: 29_000 });
  state.hasStarted = true;
  expect(await state.current()).toEqual({ isReady: true, reasons: [] });
});

test("what loads still is not ready, however long it takes", async () => {
  expect(await newState({ behindMs: 60_000 }).current()).toEqual({
    isReady: false,
    reasons: ["rooms are being loaded"],
  });
});

test.each([
  ["the stream could not be followed for long", { behindMs: 31_000 }, "what was stored lately could not be read"],
  ["the database does not answer", { isReachable: false }, "the database does not answer"],
  ["something else is missing", { missing: ["the intake process is starting"] }, "the intake process is starting"],
])("a process is not ready while %s", async (_what, options, reason) => {
  const state = newState(options);
  state.hasStarted = true;
  expect(await state.current()).toEqual({ isReady: false, reasons: [reason] });
});
