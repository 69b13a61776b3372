import { pause } from "../lib/pause.ts";
import type { Database } from "./database.ts";
import { SESSION_LOCK_CLASS, type SessionLock } from "./session-lock.ts";

/** Session lock that every running process shares. Keys of pollers' owners are positive. */
const RUNNING_KEY = -1;

/** How long a process whose mark was lost with its connection waits before it sets it again. Longer: it is not seen meanwhile. */
const RETAKE_MS = 1_000;

/** A Slidecar runs on the database, and has in memory what would be changed. */
export class RunningError extends Error {
  override readonly name = "RunningError";
}

/** Shows others that this process runs on the database, until it is disposed. Waits for who wants to be alone. */
export async function markRunning(db: Database, onError: (error: Error) => void): Promise<AsyncDisposable> {
  const stop = new AbortController();
  let lock = await db.holdSessionLock(RUNNING_KEY, "shared");
  const retake = async (): Promise<SessionLock | undefined> => {
    while (!stop.signal.aborted) {
      await pause(RETAKE_MS, stop.signal);
      const next = await db.holdSessionLock(RUNNING_KEY, "shared").catch(onError);
      if (next !== undefined) return next;
    }
    return undefined;
  };
  const keep = async () => {
    for (;;) {
      await aborted(AbortSignal.any([stop.signal, lock.lost]));
      if (stop.signal.aborted) return;
      const next = await retake();
      if (next === undefined) return;
      lock = next;
    }
  };
  const keeping = keep();
  return {
    async [Symbol.asyncDispose]() {
      stop.abort();
      await keeping;
      await lock[Symbol.asyncDispose]();
    },
  };
}

const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve();
    else signal.addEventListener("abort", () => resolve(), { once: true });
  });

const POLLING = `
  SELECT FROM pg_locks
   WHERE locktype = 'advisory' AND objsubid = 2 AND granted AND classid = ${SESSION_LOCK_CLASS} AND objid BETWEEN 1 AND 2147483647
     AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
   LIMIT 1`;

/** Makes sure that no process runs on the database, and that none begins before this is disposed. Throws {@link RunningError}. */
export async function runAlone(db: Database): Promise<AsyncDisposable> {
  const lock = await db.trySessionLock(RUNNING_KEY);
  if (lock === undefined) throw new RunningError(RUNNING);
  // An intake process lives on for a moment when the one that started it was killed.
  if ((await db.query({ text: POLLING })).length === 0) return lock;
  await lock[Symbol.asyncDispose]();
  throw new RunningError(RUNNING);
}

const RUNNING = "a Slidecar runs on this database; end every process of it, then repeat this";
