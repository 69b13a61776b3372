// Holds the whole project against its rules: types, lint and format, and those that only this project has.
import { readdirSync } from "node:fs";
import { dirname } from "node:path";
import { cycles } from "./check/cycles.ts";
import { barrels, resolution, unusedExports } from "./check/import-rules.ts";
import { layers } from "./check/layers.ts";
import { runProgram } from "./check/programs.ts";
import { type Finding, type Rule, readSources, type SourceFile } from "./check/source.ts";
import { foreignWords, lineLimits, purity, sqlInStore } from "./check/text-rules.ts";
import { generatedFiles, staleFiles } from "./generate/outputs.ts";

const ROOT = dirname(import.meta.dirname);

const FOLDERS = ["src", "test", "scripts", "docs", "changelog.d"];
const ROOT_FILES = readdirSync(ROOT).filter((name) => /\.(?:mjs|md|json)$/.test(name) && name !== "package-lock.json");

const RULES: Readonly<Record<string, Rule>> = {
  "folder table": layers,
  "import cycles": cycles,
  barrels,
  "imports resolve": resolution,
  "unused exports": unusedExports,
  "SQL in store only": sqlInStore,
  purity: purity,
  "line limits": lineLimits,
  "foreign words": foreignWords,
};

/** Infos are not shown: they speak of biome's own future. */
const BIOME_ARGUMENTS = ["check", ".", "--error-on-warnings", "--diagnostic-level=warn", "--max-diagnostics=100"];

/** A name and what is wrong; nothing when all is well. */
type Result = readonly [name: string, complaints: readonly string[]];

const results = await Promise.all([
  program("types", "node_modules/typescript/bin/tsc", ["-p", ".", "--pretty", "false"]),
  program("lint and format", "node_modules/@biomejs/biome/bin/biome", BIOME_ARGUMENTS),
  ownRules(readSources(ROOT, [...FOLDERS, ...ROOT_FILES])),
  generated(),
]);

for (const [name, complaints] of results.flat()) {
  console.log(`${complaints.length === 0 ? "ok    " : "FAILED"} ${name}`);
  for (const complaint of complaints) console.log(complaint.replaceAll(/^/gm, "       "));
}
const isOk = results.flat().every(([, complaints]) => complaints.length === 0);
console.log(`check: ${isOk ? "ok" : "failed"}`);
if (!isOk) process.exitCode = 1;

async function program(name: string, script: string, args: readonly string[]): Promise<Result[]> {
  const { isOk, output } = await runProgram(ROOT, script, args);
  return [[name, isOk ? [] : [output]]];
}

function ownRules(files: readonly SourceFile[]): Result[] {
  return Object.entries(RULES).map(([name, rule]) => [name, rule(files).map(complaintOf)]);
}

function complaintOf({ path, line, message }: Finding): string {
  return `${path}${line === 0 ? "" : `:${line}`}: ${message}`;
}

async function generated(): Promise<Result[]> {
  const stale = staleFiles(await generatedFiles(), ROOT);
  return [["generated files", stale.map(({ path }) => `${path} is stale; run npm run generate`)]];
}
