import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const MAIN = fileURLToPath(new URL("../../src/main.ts", import.meta.url));
const READY_LIMIT_MS = 60_000;
const POLL_MS = 50;

export interface ProgramResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface RunningProgram extends AsyncDisposable {
  readonly child: ChildProcess;
  readonly output: () => string;
  /** Waits for its end. */
  readonly ended: Promise<ProgramResult>;
}

/** Starts the program as an operator does, with these arguments and variables and nothing else of the environment. */
export function startProgram(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningProgram {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { PATH: process.env.PATH ?? "", HOME: process.env.HOME ?? "", ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let stdout = "";
  let stderr = "";
  child.stdout.on("data", (chunk: Buffer) => {
    stdout += chunk.toString();
  });
  child.stderr.on("data", (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  const ended = once(child, "close").then(() => ({ exitCode: child.exitCode, stdout, stderr }));
  return {
    child,
    ended,
    output: () => stdout + stderr,
    [Symbol.asyncDispose]: async () => {
      child.kill("SIGTERM");
      await ended;
    },
  };
}

export const runProgram = (
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<ProgramResult> => startProgram(args, env).ended;

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no free port");
  return address.port;
}

/** Looks again and again until the condition holds; rejects with `what` when it does not within the limit. */
export async function until(
  condition: () => Promise<boolean> | boolean,
  what: string,
  limitMs = READY_LIMIT_MS,
): Promise<void> {
  const endMs = performance.now() + limitMs;
  while (!(await condition())) {
    if (performance.now() > endMs) throw new Error(`not in time: ${what}`);
    await sleep(POLL_MS);
  }
}

/** Whether a GET is answered with 200. */
export const answers = (url: string): Promise<boolean> =>
  fetch(url).then(
    async (response) => {
      await response.body?.cancel();
      return response.ok;
    },
    () => false,
  );
