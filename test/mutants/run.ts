// Puts each mutant into a copy of the repository, one at a time, and runs the test that has to notice it. Prints a line per
// mutant and "N passed, N failed", where passed means caught; exit code 1 when one survived or could not be tried.
import { spawnSync } from "node:child_process";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { mutants as engine } from "./engine.ts";
import { mutants as intake } from "./intake.ts";
import { mutants as jsonSplitter } from "./json-splitter.ts";
import type { Mutant } from "./mutant.ts";
import { mutants as positions } from "./positions.ts";
import { mutants as readModel } from "./read-model.ts";

const mutants: readonly Mutant[] = [...jsonSplitter, ...positions, ...engine, ...intake, ...readModel];

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const COPIED = ["src", "test", "jest.config.mjs", "package.json", "tsconfig.json"];

/** A mutant may loop without end. Larger: such a one holds up the run. Smaller: a slow machine "catches" mutants. */
const TEST_TIMEOUT_MS = 180_000;

/** A property draws other cases each time, and a rare one may be missing. More: a mutant that nothing catches takes longer. */
const MAX_RUNS = 3;

type Verdict = "passes" | "fails" | "does not load";

interface JestReport {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** Runs jest itself, without a process between: a killed one would leave jest behind. */
function runTest(folder: string, test: string): Verdict {
  const jest = ["--experimental-vm-modules", "--no-warnings", "node_modules/jest/bin/jest.js", "--runInBand", "--json"];
  const run = spawnSync(process.execPath, [...jest, "--runTestsByPath", test], {
    cwd: folder,
    encoding: "utf8",
    maxBuffer: Number.POSITIVE_INFINITY,
    timeout: TEST_TIMEOUT_MS,
    killSignal: "SIGKILL",
  });
  if (run.error !== undefined && !("code" in run.error && run.error.code === "ETIMEDOUT")) throw run.error;
  if (run.signal !== null) return "fails";
  const report: JestReport = JSON.parse(run.stdout);
  if (report.numRuntimeErrorTestSuites > 0 || report.numFailedTests + report.numPassedTests === 0)
    return "does not load";
  return report.numFailedTests > 0 ? "fails" : "passes";
}

/** What is wrong with the mutant or the test; `undefined` when the test notices the mutant. */
function faultOf({ file, find, replace, test }: Mutant, folder: string): string | undefined {
  const path = join(folder, file);
  const source = readFileSync(path, "utf8");
  const pieces = source.split(find);
  if (pieces.length !== 2) return `its text occurs ${pieces.length - 1} times in ${file}, not once`;
  writeFileSync(path, pieces.join(replace));
  try {
    let verdict = runTest(folder, test);
    for (let run = 1; run < MAX_RUNS && verdict === "passes"; run++) verdict = runTest(folder, test);
    if (verdict === "passes") return `survived ${test}`;
    if (verdict === "does not load") return `is no program that ${test} can load`;
    return undefined;
  } finally {
    writeFileSync(path, source);
  }
}

function tryAll(folder: string): number {
  for (const name of COPIED) cpSync(join(root, name), join(folder, name), { recursive: true });
  symlinkSync(join(root, "node_modules"), join(folder, "node_modules"));
  const sound = new Map([...new Set(mutants.map(({ test }) => test))].map((test) => [test, runTest(folder, test)]));
  let failed = 0;
  for (const mutant of mutants) {
    const before = sound.get(mutant.test);
    const fault = before === "passes" ? faultOf(mutant, folder) : `${mutant.test} ${before} without any mutant`;
    if (fault !== undefined) failed++;
    console.log(fault === undefined ? `caught: ${mutant.name}` : `NOT CAUGHT: ${mutant.name}: ${fault}`);
  }
  return failed;
}

const folder = mkdtempSync(join(tmpdir(), "slidecar-mutants-"));
try {
  const failed = tryAll(folder);
  console.log(`${mutants.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
