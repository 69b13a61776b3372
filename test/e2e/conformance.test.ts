import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "@jest/globals";
import { TRIED_ON } from "./conformance/rows.ts";
import { conformancePage } from "./conformance/table.ts";
import { type StartedTarget, startFronted, startNative } from "./conformance/targets.ts";
import { World } from "./conformance/world.ts";
import { REPOSITORY_ROOT } from "./support/synapse-install.ts";

const PAGE = join(REPOSITORY_ROOT, "docs", "conformance.md");

/** Numbers of the rows that passed, by server. */
const passed = { Synapse: new Set<number>(), Slidecar: new Set<number>() };

describe.each([
  ["Synapse", startNative],
  ["Slidecar", startFronted],
] as const)("%s, row", (name, start) => {
  let started: Promise<StartedTarget> | undefined;
  const target = () => {
    started ??= start();
    return started;
  };
  afterAll(async () => {
    await (await started)?.[Symbol.asyncDispose]();
  });

  // Most of its time a row waits for the servers.
  for (const { number, title, run, differs, needsOwnServers } of TRIED_ON[name]) {
    test.concurrent(`${number}: ${title}`, async () => {
      const tryOn = (name === "Slidecar" ? differs?.run : undefined) ?? run;
      if (needsOwnServers === true) {
        await using own = await start();
        await tryOn(new World(own, number));
      } else {
        await tryOn(new World(await target(), number));
      }
      passed[name].add(number);
    });
  }
});

test("the page of conformance tells what came of all rows", async () => {
  for (const name of ["Synapse", "Slidecar"] as const) {
    expect([...passed[name]].toSorted((a, b) => a - b)).toEqual(TRIED_ON[name].map(({ number }) => number));
  }
  const page = conformancePage();
  if (process.env.SLIDECAR_WRITE_PAGES === "1") await writeFile(PAGE, page);
  expect(await readFile(PAGE, "utf8")).toBe(page);
});
