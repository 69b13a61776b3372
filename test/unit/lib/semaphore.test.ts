import { expect, test } from "@jest/globals";
import { Semaphore } from "../../../src/lib/semaphore.ts";

const never = new AbortController().signal;

/** Work that ends when it is told to. */
function held() {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  return { work: () => promise, end: resolve, fail: reject };
}

/** Lets everything run that can. */
const settle = () => new Promise((resolve) => setImmediate(resolve));

test("so many run at a time, the others in the order in which they asked", async () => {
  const semaphore = new Semaphore(2);
  const holders = ["a", "b", "c", "d"].map((name) => ({ name, ...held() }));
  const started: string[] = [];
  const runs = holders.map(({ name, work }) =>
    semaphore.run(() => {
      started.push(name);
      return work();
    }, never),
  );
  await settle();
  expect(started).toEqual(["a", "b"]);
  holders[1]?.end();
  await settle();
  expect(started).toEqual(["a", "b", "c"]);
  for (const { end } of holders) end();
  await Promise.all(runs);
  expect(started).toEqual(["a", "b", "c", "d"]);
});

test("who goes first goes before all who wait", async () => {
  const semaphore = new Semaphore(1);
  const holder = held();
  const started: string[] = [];
  const ask = (name: string, isFirst: boolean) =>
    semaphore.run(async () => void started.push(name), never, { isFirst });
  const runs = [semaphore.run(holder.work, never), ask("a", false), ask("b", false), ask("c", true)];
  holder.end();
  await Promise.all(runs);
  expect(started).toEqual(["c", "a", "b"]);
});

test("the result of the work is handed on, and its failure too, which frees the place", async () => {
  const semaphore = new Semaphore(1);
  expect(await semaphore.run(async () => 5, never)).toBe(5);
  await expect(semaphore.run(async () => Promise.reject(new Error("no")), never)).rejects.toThrow("no");
  expect(await semaphore.run(async () => 6, never)).toBe(6);
});

test("who gives up while waiting does not run, and takes no place", async () => {
  const semaphore = new Semaphore(1);
  const first = held();
  const running = semaphore.run(first.work, never);
  const quitter = new AbortController();
  let hasRun = false;
  const second = semaphore.run(async () => {
    hasRun = true;
  }, quitter.signal);
  const third = semaphore.run(async () => "third", never);
  quitter.abort();
  expect(await second).toBeUndefined();
  first.end();
  await running;
  expect([await third, hasRun]).toEqual(["third", false]);
});

test("who gave up before asking does not run", async () => {
  expect(await new Semaphore(1).run(async () => "ran", AbortSignal.abort())).toBeUndefined();
});

test("who gives up when it has its place keeps that until its work ends", async () => {
  const semaphore = new Semaphore(1);
  const quitter = new AbortController();
  const first = held();
  const running = semaphore.run(first.work, quitter.signal);
  let hasRun = false;
  const second = semaphore.run(async () => {
    hasRun = true;
  }, never);
  quitter.abort();
  await settle();
  expect(hasRun).toBe(false);
  first.end();
  await Promise.all([running, second]);
  expect(hasRun).toBe(true);
});
