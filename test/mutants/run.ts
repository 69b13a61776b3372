// Puts each mutant into a copy of the repository, one at a time, and runs the test that has to notice it. Prints a line per
// mutant and "N passed, N failed", where passed means caught; exit code 1 when one survived or could not be tried.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { mutants as engine } from "./engine.ts";
import { mutants as fetch } from "./fetch.ts";
import { mutants as history } from "./history.ts";
import { mutants as intake } from "./intake.ts";
import { mutants as intakeTruth } from "./intake-truth.ts";
import { mutants as jsonSplitter } from "./json-splitter.ts";
import { mutants as kills } from "./kills.ts";
import type { Mutant } from "./mutant.ts";
import { mutants as positions } from "./positions.ts";
import { mutants as readModel } from "./read-model.ts";
import { mutants as redactions } from "./redactions.ts";

const mutants: readonly Mutant[] = [
  ...jsonSplitter,
  ...positions,
  ...engine,
  ...intake,
  ...intakeTruth,
  ...fetch,
  ...history,
  ...readModel,
  ...redactions,
  ...kills,
];

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const COPIED = ["src", "test", "jest.config.mjs", "package.json", "tsconfig.json"];

/** A mutant may loop without end. Larger: such a one holds up the run. Smaller: a slow machine "catches" mutants. */
const TEST_TIMEOUT_MS = 180_000;

/** Mutants that are tried at a time, each in a copy of its own. More: their tests wait for each other and run into their time limits. */
const LANES = 2;

/** A property draws other cases each time, and a rare one may be missing. More: a mutant that nothing catches takes longer. */
const MAX_RUNS = 3;

type Verdict = "passes" | "fails" | "does not load";

interface JestReport {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** Runs jest itself, without a process between: a killed one would leave jest behind. */
async function runTest(folder: string, test: string): Promise<Verdict> {
  const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", "--runInBand", "--json"];
  const run = spawn(process.execPath, [...jest, "--runTestsByPath", test], {
    cwd: folder,
    stdio: ["ignore", "pipe", "ignore"],
    timeout: TEST_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  const ended = once(run, "close");
  const stdout = await text(run.stdout);
  const [, signal] = await ended;
  if (signal !== null) return "fails";
  const report: JestReport = JSON.parse(stdout);
  if (report.numRuntimeErrorTestSuites > 0 || report.numFailedTests + report.numPassedTests === 0)
    return "does not load";
  return report.numFailedTests > 0 ? "fails" : "passes";
}

/** What is wrong with the mutant or the test; `undefined` when the test notices the mutant. */
async function faultOf({ file, find, replace, test }: Mutant, folder: string): Promise<string | undefined> {
  const path = join(folder, file);
  const source = readFileSync(path, "utf8");
  const pieces = source.split(find);
  if (pieces.length !== 2) return `its text occurs ${pieces.length - 1} times in ${file}, not once`;
  writeFileSync(path, pieces.join(replace));
  try {
    let verdict = await runTest(folder, test);
    for (let run = 1; run < MAX_RUNS && verdict === "passes"; run++) verdict = await runTest(folder, test);
    if (verdict === "passes") return `survived ${test}`;
    if (verdict === "does not load") return `is no program that ${test} can load`;
    return undefined;
  } finally {
    writeFileSync(path, source);
  }
}

/** A copy of the repository in which one mutant at a time lives. */
function copyTo(folder: string): string {
  for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  return folder;
}

/** Does all of the work, a piece at a time in each folder. */
async function inFolders<T>(
  folders: readonly string[],
  all: readonly T[],
  work: (item: T, folder: string) => Promise<void>,
): Promise<void> {
  const left = [...all];
  const lane = async (folder: string) => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item, folder);
  };
  await Promise.all(folders.map(lane));
}

async function tryAll(folders: readonly string[]): Promise<number> {
  const sound = new Map<string, Verdict>();
  const tests = [...new Set(mutants.map(({ test }) => test))];
  await inFolders(folders, tests, async (test, folder) => void sound.set(test, await runTest(folder, test)));
  let failed = 0;
  await inFolders(folders, mutants, async (mutant, folder) => {
    const before = sound.get(mutant.test);
    const fault = before === "passes" ? await faultOf(mutant, folder) : `${mutant.test} ${before} without any mutant`;
    if (fault !== undefined) failed++;
    console.log(fault === undefined ? `caught: ${mutant.name}` : `NOT CAUGHT: ${mutant.name}: ${fault}`);
  });
  return failed;
}

const work = mkdtempSync(join(tmpdir(), "slidecar-mutants-"));
try {
  const folders = Array.from({ length: LANES }, (_, lane) => copyTo(join(work, String(lane))));
  const failed = await tryAll(folders);
  console.log(`${mutants.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
