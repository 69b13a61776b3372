import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { expect, test } from "@jest/globals";
import { configSample } from "../../../scripts/generate/config-sample.ts";
import { generatedFiles, staleFiles } from "../../../scripts/generate/outputs.ts";
import { wrap } from "../../../scripts/generate/wrap.ts";
import { configKeys } from "../../../src/config/keys.ts";
import { HOMESERVER, load } from "../config/config-files.ts";

const SAMPLE = configSample(configKeys);

async function textOf(path: string): Promise<string> {
  return (await generatedFiles()).find((output) => output.path === path)?.text ?? "";
}

test("the sample file loads as it is and sets nothing but the defaults", () => {
  expect(load({ files: { "config.yaml": SAMPLE } })).toEqual(load({ env: HOMESERVER }));
});

test("the sample file loads with every comment that holds a setting taken in, save for the second of each pair", () => {
  const settings = SAMPLE.replaceAll(/^( *)# (\w+: \S+)$/gm, (_, indent: string, setting: string) =>
    setting.includes("_file:") ? "" : `${indent}${setting}`,
  );
  expect(load({ files: { "config.yaml": settings } })).toMatchObject({
    homeserver: { serverName: "example.org" },
    database: { kind: "external" },
    secret: expect.any(String),
  });
});

test("the sample file and the manual speak of every key", async () => {
  const page = await textOf("docs/config.md");
  for (const { path } of configKeys) {
    expect(SAMPLE).toMatch(new RegExp(`^ *(?:# )?${path.split(/[.]/).at(-1)}(?: \\(.*\\))?:`, "m"));
    expect(page).toContain(`# ${path}\n`);
  }
});

test("every key says what it means in a sentence", () => {
  for (const { path, documentation } of configKeys) {
    expect(`${path}: ${documentation.about}`).toMatch(/: [A-Za-z0-9].{15,}\.$/);
  }
});

test("the manual lists a metric with its labels and their values, and a histogram with its bounds", async () => {
  const page = await textOf("docs/metrics.md");
  expect(page).toContain("## slidecar_polls_total\n\nCounter. ");
  expect(page).toContain("- `kind`: `timeline`, `state`\n");
  expect(page).toMatch(/## slidecar_poll_seconds\n\nHistogram\. .*\n\n- buckets: 0\.05, /);
});

test("a generated file that is missing or edited is stale", async () => {
  const root = mkdtempSync(join(tmpdir(), "slidecar-generate-"));
  try {
    const outputs = await generatedFiles();
    expect(staleFiles(outputs, root)).toEqual(outputs);
    for (const { path, text } of outputs) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), text);
    }
    expect(staleFiles(outputs, root)).toEqual([]);
    writeFileSync(join(root, "docs/config.md"), "edited");
    expect(staleFiles(outputs, root).map(({ path }) => path)).toEqual(["docs/config.md"]);
  } finally {
    rmSync(root, { recursive: true });
  }
});

test("text is broken between words, and only a long word stands out", () => {
  expect(wrap("one two three incomprehensible four", 9)).toEqual(["one two", "three", "incomprehensible", "four"]);
});
