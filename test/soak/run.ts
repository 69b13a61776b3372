// `npm run test:soak -- [NAME …] [--seed N] [--rounds N] [--minutes N] [--targets A,B]`: the long runs, all or those named. A
// run as it is meant, without options, goes into docs/soak.md. Exit code 1: something went wrong.
import { execFileSync } from "node:child_process";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { encryption } from "./encryption.ts";
import { kills } from "./kills.ts";
import { writeSection } from "./report.ts";
import type { Soak } from "./soak.ts";
import { tokens } from "./tokens.ts";
import { views } from "./views.ts";

const ROOT = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const SOAKS: readonly Soak[] = [kills, views, encryption, tokens];

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    seed: { type: "string" },
    rounds: { type: "string" },
    minutes: { type: "string" },
    targets: { type: "string" },
  },
});
const numberOf = (text: string | undefined) => {
  if (text !== undefined && !/^\d+$/.test(text)) throw new Error(`not a number: ${text}`);
  return text === undefined ? undefined : Number(text);
};
// For good: a second one, from a launcher that hands it on, must not cut the end short.
const stop = new AbortController();
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"] as const) process.on(signal, () => stop.abort());
const options = {
  stop: stop.signal,
  seed: numberOf(values.seed),
  rounds: numberOf(values.rounds),
  minutes: numberOf(values.minutes),
  targets: values.targets?.split(","),
};
const unknown = positionals.find((name) => !SOAKS.some((soak) => soak.name === name));
if (unknown !== undefined) throw new Error(`no soak ${unknown}; there are ${SOAKS.map(({ name }) => name).join(", ")}`);
const isWritten = Object.keys(values).length === 0;

const git = (...args: string[]) => execFileSync("git", args, { cwd: ROOT, encoding: "utf8" }).trim();

/** The commit, and whether more than that was run. */
function commitOf(): string {
  try {
    return `${git("rev-parse", "--short", "HEAD")}${git("status", "--porcelain", "--", "src") === "" ? "" : " with changes"}`;
  } catch {
    return "unknown";
  }
}

let failed = 0;
for (const soak of SOAKS.filter(({ name }) => positionals.length === 0 || positionals.includes(name))) {
  const startedMs = performance.now();
  const passed = () => `${((performance.now() - startedMs) / 1000).toFixed(1).padStart(7)} s`;
  const { lines, failures } = await soak.run(options, (line) => console.log(`${passed()}  ${soak.name}: ${line}`));
  failed += failures.length;
  const minutes = ((performance.now() - startedMs) / 60_000).toFixed(1);
  const where = `${availableParallelism()} processors, ${Math.round(totalmem() / 2 ** 30)} GiB of memory, Node ${process.versions.node}`;
  const settings = `${new Date().toISOString().slice(0, 10)}, commit ${commitOf()}, ${minutes} minutes, ${where}.`;
  const wrong = failures.flatMap((failure) => ["", "```", failure, "```"]);
  const section = [settings, "", ...lines, ...wrong];
  console.log(["", ...section].join("\n"));
  if (stop.signal.aborted) {
    process.exitCode = 1;
    break;
  }
  if (isWritten) writeSection(join(ROOT, "docs", "soak.md"), soak.name, section);
}
if (failed > 0) process.exitCode = 1;
// matrix-js-sdk leaves timers of minutes behind.
process.exit();
