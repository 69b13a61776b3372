// A server as a child process whose output goes to a file: started, waited for, stopped; the end of the file explains a failure.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, openSync, readFileSync } from "node:fs";
import { createServer } from "node:net";
import { setTimeout as delay } from "node:timers/promises";

/** Between two questions "are you ready?". Larger makes every start slower, smaller burns the processor that the server needs. */
const READY_POLL_MS = 50;
/** Lines of the log that go into an error. Fewer may cut a Python traceback. */
const TAIL_LINES = 40;

export type ServerProcess = {
  readonly name: string;
  readonly pid: number;
  hasExited(): boolean;
  /** Resolves when the process is gone, with a phrase that says how. */
  readonly exited: Promise<string>;
  logTail(): string;
  /** SIGTERM, then waits; a server that does not go within `graceMs` is killed, which is an error. */
  stop(graceMs: number): Promise<void>;
};

export type ServerCommand = {
  name: string;
  command: string;
  args: readonly string[];
  cwd: string;
  env?: Readonly<Record<string, string>>;
  logFile: string;
  /** Answers 200 as soon as the server can be used. */
  readyUrl: string;
  readyWithinMs: number;
  /** In a process group of its own, so that the whole group can be killed. */
  detached?: boolean;
};

/** Starts the command and resolves when `readyUrl` answers 200. */
export async function startServerProcess(options: ServerCommand): Promise<ServerProcess> {
  const log = openSync(options.logFile, "a");
  const child = spawn(options.command, options.args, {
    cwd: options.cwd,
    env: { ...process.env, ...options.env },
    stdio: ["ignore", log, log],
    detached: options.detached ?? false,
  });
  closeSync(log);
  let end: string | undefined;
  const exited = new Promise<string>((resolve) => {
    const gone = (how: string) => {
      end ??= how;
      resolve(end);
    };
    child.once("error", (error) => gone(`could not be started: ${error.message}`));
    child.once("exit", (code, signal) => gone(signal === null ? `exited with code ${code}` : `was ended by ${signal}`));
  });
  const server: ServerProcess = {
    name: options.name,
    pid: child.pid ?? 0,
    hasExited: () => end !== undefined,
    exited,
    logTail: () => tail(options.logFile),
    stop: async (graceMs) => {
      if (end !== undefined) return;
      child.kill("SIGTERM");
      if (!(await settlesWithin(exited, graceMs))) {
        child.kill("SIGKILL");
        throw new Error(`${options.name} was still there ${graceMs} ms after SIGTERM\n${server.logTail()}`);
      }
    },
  };
  try {
    await untilReady(options, server);
  } catch (error) {
    if (options.detached === true && child.pid !== undefined && end === undefined) process.kill(-child.pid, "SIGKILL");
    else child.kill("SIGKILL");
    throw error;
  }
  return server;
}

async function untilReady(options: ServerCommand, server: ServerProcess): Promise<void> {
  const deadline = performance.now() + options.readyWithinMs;
  for (;;) {
    if (server.hasExited()) throw new Error(`${options.name} ${await server.exited}\n${server.logTail()}`);
    if (await answersOk(options.readyUrl)) return;
    if (performance.now() > deadline) {
      throw new Error(`${options.name} was not ready within ${options.readyWithinMs} ms\n${server.logTail()}`);
    }
    await delay(READY_POLL_MS);
  }
}

async function answersOk(url: string): Promise<boolean> {
  try {
    const answer = await fetch(url, { signal: AbortSignal.timeout(2_000) });
    await answer.arrayBuffer();
    return answer.ok;
  } catch {
    return false;
  }
}

async function settlesWithin(promise: Promise<unknown>, ms: number): Promise<boolean> {
  const abort = new AbortController();
  try {
    return await Promise.race([promise.then(() => true), delay(ms, false, { signal: abort.signal })]);
  } finally {
    abort.abort();
  }
}

function tail(file: string): string {
  const lines = readFileSync(file, "utf8").trimEnd().split("\n");
  return [`--- end of ${file}`, ...lines.slice(-TAIL_LINES), "---"].join("\n");
}

/** A TCP port of 127.0.0.1 that was free a moment ago. */
export async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const address = server.address();
  server.close();
  await once(server, "close");
  if (address === null || typeof address === "string") throw new Error("no TCP port to be had");
  return address.port;
}

/** Runs `scenario`; when it fails, the ends of these servers' logs are added to the error. */
export async function withLogs<T>(servers: readonly { logTail(): string }[], scenario: () => Promise<T>): Promise<T> {
  try {
    return await scenario();
  } catch (error) {
    if (error instanceof Error)
      error.message = [error.message, ...servers.map((server) => server.logTail())].join("\n");
    throw error;
  }
}
