// `npm run test:mutants -- [TEXT …]`: puts each mutant, or those whose name, file or test has one of the texts in it, into a copy
// of the repository, one at a time, and runs the test that has to notice it. Prints a line per mutant and "N passed, N failed",
// where passed means caught; exit code 1 when one survived or could not be tried.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { startKeeper } from "../support/cluster.ts";
import { allMutants } from "./all-mutants.ts";
import type { Mutant } from "./mutant.ts";

const texts = process.argv.slice(2);
const isChosen = ({ name, file, test }: Mutant) =>
  texts.length === 0 || texts.some((text) => [name, file, test].some((each) => each.includes(text)));
const mutants = allMutants.filter(isChosen);

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const COPIED = ["src", "test", "jest.config.mjs", "package.json", "tsconfig.json"];

/** A mutant may loop without end. Larger: such a one holds up the run. Smaller: a slow machine "catches" mutants. */
const TEST_TIMEOUT_MS = 180_000;

/**
 * Mutants that are tried at a time, each in a copy of its own. Fewer: processors wait while a test does. More: tests wait for each
 * other and run into their time limits.
 */
const LANES = 3;

/** Run last without any mutant: were the cluster that all share broken by one, everything after it would count as caught. */
const WITNESS = "test/service/intake-writer.test.ts";

/** A property draws other cases each time, and a rare one may be missing. More: a mutant that nothing catches takes longer. */
const MAX_RUNS = 3;

/** One failure is an answer: neither other tests nor smaller cases are looked for, nor what a broken program leaves open waited for. */
const JEST = [
  "--experimental-vm-modules",
  "--no-warnings",
  "node_modules/jest/bin/jest.js",
  "--runInBand",
  "--json",
  "--forceExit",
  ...["--testPathIgnorePatterns", "/node_modules/"],
  ...["--testEnvironment", "./test/mutants/first-failure-environment.mjs"],
  ...["--setupFilesAfterEnv", "./test/mutants/first-failure-setup.ts"],
];

/** Where one mutant at a time lives. */
interface Lane {
  readonly folder: string;
  /** A cluster for all lanes; each run of a test makes its databases in it, with the migrations of its own copy. */
  readonly databaseUrl: string;
}

type Verdict = "passes" | "fails" | "does not load";

interface JestReport {
  readonly numFailedTests: number;
  readonly numPassedTests: number;
  readonly numRuntimeErrorTestSuites: number;
}

/** Runs jest itself, without a process between: a killed one would leave jest behind. */
async function runTest({ folder, databaseUrl }: Lane, test: string): Promise<Verdict> {
  const run = spawn(process.execPath, [...JEST, "--runTestsByPath", test], {
    cwd: folder,
    env: { ...process.env, TEST_DATABASE_URL: databaseUrl },
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
async function faultOf({ file, find, replace, test }: Mutant, lane: Lane): Promise<string | undefined> {
  const path = join(lane.folder, file);
  const source = readFileSync(path, "utf8");
  const pieces = source.split(find);
  if (pieces.length !== 2) return `its text occurs ${pieces.length - 1} times in ${file}, not once`;
  writeFileSync(path, pieces.join(replace));
  try {
    let verdict = await runTest(lane, test);
    for (let run = 1; run < MAX_RUNS && verdict === "passes"; run++) verdict = await runTest(lane, test);
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

/** Does all of the work, a piece at a time in each lane. */
async function inLanes<T>(
  lanes: readonly Lane[],
  all: readonly T[],
  work: (item: T, lane: Lane) => Promise<void>,
): Promise<void> {
  const left = [...all];
  const run = async (lane: Lane) => {
    for (let item = left.shift(); item !== undefined; item = left.shift()) await work(item, lane);
  };
  await Promise.all(lanes.map(run));
}

async function tryAll(lanes: readonly Lane[]): Promise<number> {
  const sound = new Map<string, Verdict>();
  const tests = [...new Set(mutants.map(({ test }) => test))];
  await inLanes(lanes, tests, async (test, lane) => void sound.set(test, await runTest(lane, test)));
  let failed = 0;
  await inLanes(lanes, mutants, async (mutant, lane) => {
    const startedMs = performance.now();
    const before = sound.get(mutant.test);
    const fault = before === "passes" ? await faultOf(mutant, lane) : `${mutant.test} ${before} without any mutant`;
    if (fault !== undefined) failed++;
    const seconds = ((performance.now() - startedMs) / 1000).toFixed(1);
    const said = fault === undefined ? `caught: ${mutant.name}` : `NOT CAUGHT: ${mutant.name}: ${fault}`;
    console.log(`${said} (${seconds} s)`);
  });
  const [lane] = lanes;
  if (lane === undefined || (await runTest(lane, WITNESS)) !== "passes") {
    failed++;
    console.log(`NOT CAUGHT: after all mutants ${WITNESS} does not pass without one`);
  }
  return failed;
}

const work = mkdtempSync(join(tmpdir(), "slidecar-mutants-"));
try {
  await using stack = new AsyncDisposableStack();
  const keeper = await startKeeper();
  stack.defer(() => keeper.end());
  const databaseUrl = keeper.template.adminUrl;
  const lanes = Array.from({ length: LANES }, (_, lane) => ({ folder: copyTo(join(work, String(lane))), databaseUrl }));
  const failed = await tryAll(lanes);
  console.log(`${mutants.length - failed} passed, ${failed} failed`);
  if (failed > 0) process.exitCode = 1;
} finally {
  rmSync(work, { recursive: true, force: true });
}
