import { getEventListeners } from "node:events";
import { expect, test } from "@jest/globals";
import { NewestFirst, SupersededError } from "../../../src/lib/newest-first.ts";

const never = new AbortController().signal;

/** Work that ends when it is superseded, or told to. */
function waiting(log: string[], name: string) {
  const told = Promise.withResolvers<void>();
  const work = async (superseded: AbortSignal) => {
    log.push(`${name} starts`);
    const aborted = new Promise<void>((resolve) => {
      if (superseded.aborted) resolve();
      superseded.addEventListener("abort", () => resolve());
    });
    await Promise.race([told.promise, aborted]);
    log.push(`${name} ${superseded.aborted ? "is superseded" : "ends"}`);
    return name;
  };
  return { work, end: told.resolve };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a newer one of the same key ends the running one and begins after it", async () => {
  const log: string[] = [];
  const runs = new NewestFirst<string>();
  const [a, b] = [waiting(log, "a"), waiting(log, "b")];
  const first = runs.run("key", never, a.work);
  await settle();
  const second = runs.run("key", never, b.work);
  expect(await first).toBe("a");
  b.end();
  expect(await second).toBe("b");
  expect(log).toEqual(["a starts", "a is superseded", "b starts", "b ends"]);
});

test("of many at once all but the newest end as soon as they can", async () => {
  const log: string[] = [];
  const runs = new NewestFirst<number>();
  const works = ["a", "b", "c"].map((name) => waiting(log, name));
  const results = works.map(({ work }) => runs.run(1, never, work));
  works[2]?.end();
  expect(await Promise.all(results)).toEqual(["a", "b", "c"]);
  expect(log.filter((line) => line.endsWith("is superseded"))).toEqual(["a is superseded", "b is superseded"]);
});

test("other keys do not meet", async () => {
  const log: string[] = [];
  const runs = new NewestFirst<string>();
  const [a, b] = [waiting(log, "a"), waiting(log, "b")];
  const both = [runs.run("one", never, a.work), runs.run("two", never, b.work)];
  await settle();
  expect(log).toEqual(["a starts", "b starts"]);
  a.end();
  b.end();
  await Promise.all(both);
  expect(log).toEqual(["a starts", "b starts", "a ends", "b ends"]);
});

test("a failure is its own caller's alone", async () => {
  const runs = new NewestFirst<string>();
  const failing = runs.run("key", never, () => Promise.reject(new Error("no")));
  const next = runs.run("key", never, async () => "next");
  await expect(failing).rejects.toThrow("no");
  expect(await next).toBe("next");
  expect(await runs.run("key", never, async (signal) => signal.aborted)).toBe(false);
});

test("work is told why it should end: its caller's reason, or that a newer one came", async () => {
  const runs = new NewestFirst<string>();
  const reasonOf = (signal: AbortSignal) =>
    new Promise<unknown>((resolve) => {
      if (signal.aborted) resolve(signal.reason);
      signal.addEventListener("abort", () => resolve(signal.reason));
    });
  const caller = new AbortController();
  const gone = runs.run("one", caller.signal, reasonOf);
  caller.abort("gone");
  expect(await gone).toBe("gone");
  expect(await runs.run("one", AbortSignal.abort("never came"), reasonOf)).toBe("never came");
  const older = runs.run("two", never, reasonOf);
  await runs.run("two", never, async () => undefined);
  expect(await older).toBeInstanceOf(SupersededError);
});

test("work that is over leaves no listener with its caller", async () => {
  const runs = new NewestFirst<string>();
  const { signal } = new AbortController();
  for (let round = 0; round < 100; round++) await runs.run("key", signal, async () => round);
  expect(getEventListeners(signal, "abort")).toEqual([]);
});
