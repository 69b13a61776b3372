import { PgBoss } from "pg-boss";

/** Work that is done now and then, by one process of the installation, and repeated when it fails. */
export interface Job {
  readonly name: string;
  /** Cron expression, in UTC. */
  readonly schedule: string;
  readonly run: () => Promise<void>;
}

export interface JobsDeps {
  readonly databaseUrl: string;
  /** The queue could not reach the database, or a job failed. Both are tried again. */
  readonly onError: (error: Error) => void;
}

/** The queue's own connections. Its work is rare and small. */
const POOL_SIZE = 2;

/** Longer: a shutdown waits for a job that hangs. Shorter: one that is about to end is cut and repeated. */
const STOP_GRACE_MS = 5_000;

/** More than one at a time, and at once again when there were so many: otherwise a backlog waits for the next poll. */
const BATCH_SIZE = 2;

/** Starts the Postgres job queue with these jobs. Disposing waits for those that run. */
export async function startJobs({ databaseUrl, onError }: JobsDeps, jobs: readonly Job[]): Promise<AsyncDisposable> {
  const boss = new PgBoss({ connectionString: databaseUrl, max: POOL_SIZE, application_name: "slidecar jobs" });
  boss.on("error", onError);
  try {
    await boss.start();
    for (const { name, schedule, run } of jobs) {
      await boss.createQueue(name);
      await boss.work(name, { batchSize: BATCH_SIZE, burstWhenBatchFull: true }, run);
      await boss.schedule(name, schedule);
    }
  } catch (error) {
    // What is half started would keep a process alive that cannot start.
    await boss.stop({ graceful: false }).catch(onError);
    throw error;
  }
  return { [Symbol.asyncDispose]: () => boss.stop({ graceful: true, timeout: STOP_GRACE_MS }) };
}
