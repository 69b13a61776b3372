import { expect, test } from "@jest/globals";
import { ByteCache, type ByteCacheOptions } from "../../../src/lib/byte-cache.ts";

interface Box {
  bytes: number;
}

function newCache(options: Partial<ByteCacheOptions<string, Box>> = {}) {
  const dropped: string[] = [];
  const cache = new ByteCache<string, Box>({ maxBytes: 10, onDrop: (key) => dropped.push(key), ...options });
  const has = (...keys: readonly string[]) => keys.map((key) => cache.peek(key) !== undefined);
  return { cache, dropped, has };
}

test("values are found until the budget is used up, then the one asked for longest ago goes", () => {
  const { cache, dropped, has } = newCache();
  for (const key of ["a", "b"]) cache.set(key, { bytes: 5 });
  expect(cache.get("a")).toEqual({ bytes: 5 });
  cache.set("c", { bytes: 5 });
  expect(has("a", "b", "c")).toEqual([true, false, true]);
  expect(dropped).toEqual(["b"]);
  expect([cache.size, cache.bytes]).toEqual([2, 10]);
});

test("looking without asking is no use", () => {
  const { cache, has } = newCache();
  for (const key of ["a", "b"]) cache.set(key, { bytes: 5 });
  cache.peek("a");
  cache.set("c", { bytes: 5 });
  expect(has("a", "b", "c")).toEqual([false, true, true]);
});

test("a value that has grown is weighed again", () => {
  const { cache, has } = newCache();
  const growing = { bytes: 1 };
  cache.set("a", { bytes: 5 });
  cache.set("b", growing);
  growing.bytes = 6;
  cache.reweigh("b");
  expect(has("a", "b")).toEqual([false, true]);
  expect(cache.bytes).toBe(6);
  cache.reweigh("nobody");
});

test("a value takes the place of the one before, weight and all", () => {
  const { cache } = newCache();
  cache.set("a", { bytes: 9 });
  cache.set("a", { bytes: 2 });
  expect([cache.size, cache.bytes]).toEqual([1, 2]);
});

test("a value that alone is over the budget is not kept, and drives nobody out", () => {
  const { cache, dropped, has } = newCache();
  cache.set("a", { bytes: 5 });
  cache.set("b", { bytes: 11 });
  expect(has("a", "b")).toEqual([true, false]);
  expect(dropped).toEqual(["b"]);
});

test("what is in use stays, and the others make room for it", () => {
  const { cache, dropped, has } = newCache({ isInUse: (key) => key === "a" || key === "big" });
  for (const key of ["a", "b"]) cache.set(key, { bytes: 5 });
  cache.set("big", { bytes: 20 });
  expect(has("a", "b", "big")).toEqual([true, false, true]);
  expect(dropped).toEqual(["b"]);
});

test("what came out of use goes with the next change", () => {
  let isUsed = true;
  const { cache, dropped } = newCache({ isInUse: () => isUsed });
  for (let index = 0; index < 500; index++) cache.set(`key${index}`, { bytes: 5 });
  expect(cache.size).toBe(500);
  isUsed = false;
  cache.set("last", { bytes: 5 });
  expect([cache.size, dropped.length]).toEqual([2, 499]);
});

test("deleted and cleared values weigh nothing", () => {
  const { cache, dropped } = newCache();
  for (const key of ["a", "b"]) cache.set(key, { bytes: 5 });
  cache.delete("a");
  cache.delete("a");
  expect([cache.size, cache.bytes]).toEqual([1, 5]);
  cache.clear();
  expect([cache.size, cache.bytes, dropped]).toEqual([0, 0, []]);
});
