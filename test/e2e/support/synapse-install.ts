// Synapse from the Python package index, in a virtual environment that is made once and kept under `.cache/`.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm } from "node:fs/promises";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

/** The release that the end-to-end ring is written for. */
export const SYNAPSE_VERSION = "1.157.1";

export const REPOSITORY_ROOT = dirname(dirname(dirname(dirname(fileURLToPath(import.meta.url)))));

const CACHE = join(REPOSITORY_ROOT, ".cache");
const PYTHON = "python3";

export type SynapseInstallation = { version: string; python: string };

/**
 * The pinned Synapse, or the newest that the index offers when the pinned one is gone (`say` is told which). Fails, and never
 * skips, where there is no Python 3.10 or no index.
 */
export async function installSynapse(say: (line: string) => void = () => {}): Promise<SynapseInstallation> {
  const pinned = await installed(SYNAPSE_VERSION);
  if (pinned !== undefined) return pinned;
  await requirePython();
  const version = await offeredVersion();
  if (version !== SYNAPSE_VERSION) say(`the index has no Synapse ${SYNAPSE_VERSION}; taking the newest, ${version}`);
  const cached = await installed(version);
  if (cached !== undefined) return cached;
  say(`installing Synapse ${version} into ${folderOf(version)}`);
  await install(version);
  const fresh = await installed(version);
  if (fresh === undefined) throw new Error(`Synapse ${version} was installed but does not start`);
  return fresh;
}

const folderOf = (version: string): string => join(CACHE, `synapse-${version}`);
const pythonOf = (folder: string): string => join(folder, "bin", "python");

/** What is in the cache, if it can be used: an environment made by another user may rest on a Python that this one cannot read. */
async function installed(version: string): Promise<SynapseInstallation | undefined> {
  const python = pythonOf(folderOf(version));
  if (!existsSync(python)) return undefined;
  const answer = await run(python, ["-c", "import synapse.app.homeserver, synapse; print(synapse.__version__)"]);
  return answer.code === 0 ? { version, python } : undefined;
}

async function requirePython(): Promise<void> {
  const answer = await run(PYTHON, ["-c", "import sys, venv, ensurepip; print(sys.version_info >= (3, 10))"]);
  if (answer.code === 0 && answer.stdout.trim() === "True") return;
  throw new Error(
    `the end-to-end tests run a real Synapse and need ${PYTHON} 3.10 or later with venv.\n${answer.stderr}`,
  );
}

async function offeredVersion(): Promise<string> {
  const answer = await run(PYTHON, ["-m", "pip", "index", "versions", "--no-input", "matrix-synapse"]);
  const list = /^Available versions: (.*)$/m.exec(answer.stdout)?.[1]?.split(", ");
  const newest = list?.[0];
  if (answer.code !== 0 || list === undefined || newest === undefined) {
    throw new Error(
      `the end-to-end tests install Synapse from the Python package index, which does not answer.\n${answer.stderr}`,
    );
  }
  return list.includes(SYNAPSE_VERSION) ? SYNAPSE_VERSION : newest;
}

/** Built under a name of its own and renamed when complete, so that an interrupted installation is never taken for a whole one. */
async function install(version: string): Promise<void> {
  const building = `${folderOf(version)}.${process.pid}`;
  await mkdir(CACHE, { recursive: true });
  try {
    await runOrThrow(PYTHON, ["-m", "venv", building]);
    const pip = ["-m", "pip", "install", "--no-input", "--quiet", `matrix-synapse==${version}`];
    await runOrThrow(pythonOf(building), pip);
    await rm(folderOf(version), { recursive: true, force: true });
    await rename(building, folderOf(version));
  } finally {
    await rm(building, { recursive: true, force: true });
  }
}

async function runOrThrow(command: string, args: readonly string[]): Promise<void> {
  const answer = await run(command, args);
  if (answer.code !== 0) throw new Error(`${command} ${args.join(" ")} failed:\n${answer.stdout}${answer.stderr}`);
}

type Answer = { code: number | null; stdout: string; stderr: string };

/** Runs to the end; a command that does not exist is an answer with code null. */
export async function run(command: string, args: readonly string[]): Promise<Answer> {
  const child = spawn(command, args, { stdio: ["ignore", "pipe", "pipe"] });
  const answer: Answer = { code: null, stdout: "", stderr: "" };
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    answer.stdout += text;
  });
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    answer.stderr += text;
  });
  return new Promise((resolve) => {
    child.once("error", (error) => resolve({ ...answer, stderr: error.message }));
    child.once("close", (code) => resolve({ ...answer, code }));
  });
}
