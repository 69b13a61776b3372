import { afterAll, describe, expect, test } from "@jest/globals";
import { ROWS } from "./rows.ts";
import type { StartedTarget } from "./targets.ts";
import { World } from "./world.ts";

/** Each row as a test on one server, several at a time: most of their time they wait for it. */
export function tryRows(start: () => Promise<StartedTarget>): void {
  let started: Promise<StartedTarget> | undefined;
  const target = () => {
    started ??= start();
    return started;
  };
  afterAll(async () => {
    await (await started)?.[Symbol.asyncDispose]();
  });

  describe("row", () => {
    for (const { number, title, run, differs } of ROWS) {
      test.concurrent(`${number}: ${title}`, async () => {
        const server = await target();
        const isOwn = server.name === "Slidecar" && differs !== undefined;
        await (isOwn ? differs.run : run)(new World(server, number));
      });
    }
  });

  test("every row has a number of its own", () => {
    expect(new Set(ROWS.map(({ number }) => number)).size).toBe(ROWS.length);
  });
}
