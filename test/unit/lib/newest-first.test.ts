import { expect, test } from "@jest/globals";
import { NewestFirst, SupersededError } from "../../../src/lib/newest-first.ts";

/** Work that ends when it is superseded, or told to. */
function waiting(log: string[], name: string) {
  const told = Promise.withResolvers<void>();
  const aborted = Promise.withResolvers<unknown>();
  let isSuperseded = false;
  const abort = (reason: Error) => {
    isSuperseded = reason instanceof SupersededError;
    aborted.resolve(reason);
  };
  const work = async () => {
    log.push(`${name} starts`);
    await Promise.race([told.promise, aborted.promise]);
    log.push(`${name} ${isSuperseded ? "is superseded" : "ends"}`);
    return name;
  };
  return { run: (runs: NewestFirst<string>, key: string) => runs.run(key, { abort }, work), end: told.resolve };
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

test("a newer one of the same key ends the running one and begins after it", async () => {
  const log: string[] = [];
  const runs = new NewestFirst<string>();
  const [a, b] = [waiting(log, "a"), waiting(log, "b")];
  const first = a.run(runs, "key");
  await settle();
  const second = b.run(runs, "key");
  expect(await first).toBe("a");
  b.end();
  expect(await second).toBe("b");
  expect(log).toEqual(["a starts", "a is superseded", "b starts", "b ends"]);
});

test("of many at once all but the newest end as soon as they can", async () => {
  const log: string[] = [];
  const runs = new NewestFirst<string>();
  const works = ["a", "b", "c"].map((name) => waiting(log, name));
  const results = works.map(({ run }) => run(runs, "key"));
  works[2]?.end();
  expect(await Promise.all(results)).toEqual(["a", "b", "c"]);
  expect(log.filter((line) => line.endsWith("is superseded"))).toEqual(["a is superseded", "b is superseded"]);
});

test("other keys do not meet", async () => {
  const log: string[] = [];
  const runs = new NewestFirst<string>();
  const [a, b] = [waiting(log, "a"), waiting(log, "b")];
  const both = [a.run(runs, "one"), b.run(runs, "two")];
  await settle();
  expect(log).toEqual(["a starts", "b starts"]);
  a.end();
  b.end();
  await Promise.all(both);
  expect(log).toEqual(["a starts", "b starts", "a ends", "b ends"]);
});

test("a failure is its own caller's alone", async () => {
  const runs = new NewestFirst<string>();
  const told: string[] = [];
  const end = (name: string) => ({ abort: ({ name: reason }: Error) => void told.push(`${name}: ${reason}`) });
  const failing = runs.run("key", end("failing"), () => Promise.reject(new Error("no")));
  const next = runs.run("key", end("next"), async () => "next");
  await expect(failing).rejects.toThrow("no");
  expect(await next).toBe("next");
  await runs.run("key", end("last"), async () => "last");
  expect(told).toEqual(["failing: SupersededError"]);
});
