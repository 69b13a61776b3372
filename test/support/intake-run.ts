// The pollers as they run, before the scripted homeserver and a real database.
import { setTimeout as sleep } from "node:timers/promises";
import { Registry } from "prom-client";
import { createHomeserver, type HomeserverOptions } from "../../src/homeserver/client.ts";
import { createIntake, type IntakeOptions } from "../../src/intake/intake.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import type { DeviceId, DeviceNid, UserId } from "../../src/model/ids.ts";
import { DEVICES_CHANNEL, seeDevice } from "../../src/store/devices.ts";
import type { TestDatabase } from "./database.ts";
import type { Login } from "./homeserver/robot.ts";

const HOUR_MS = 3_600_000;
/** How often a condition is looked at. */
const LOOK_MS = 20;

/** A line of the log. */
export interface LogLine extends Record<string, unknown> {
  readonly msg: string;
}

export interface IntakeRun extends AsyncDisposable {
  readonly owner: number;
  readonly log: readonly LogLine[];
  /** Positions that were announced. */
  readonly announced: readonly number[];
  metric(name: string, labels?: Record<string, string>): Promise<number>;
  /** Ends the pollers as a shutdown does. */
  stop(): Promise<void>;
}

export interface RunOptions extends Partial<IntakeOptions> {
  readonly limits?: HomeserverOptions["limits"];
  readonly openToken?: (sealed: Buffer) => string;
  readonly owner?: number;
  /** Beside what is noted in any case. */
  readonly onPosition?: (position: number) => void;
}

let owners = 1_000;

/** Tokens are stored as they are. */
export async function startIntake(
  db: TestDatabase,
  homeserverUrl: string,
  options: RunOptions = {},
): Promise<IntakeRun> {
  owners += 1;
  const { limits, openToken = String, owner = owners, onPosition, ...intakeOptions } = options;
  const log: LogLine[] = [];
  const announced: number[] = [];
  const registry = new Registry();
  const upstream = createHomeserver({ url: homeserverUrl, ...(limits === undefined ? {} : { limits }) });
  const lock = await db.holdSessionLock(owner);
  const pool = createIntake(
    {
      db,
      upstream,
      onPosition: (position) => {
        announced.push(position);
        onPosition?.(position);
      },
      openToken,
      owner,
      clock: systemClock,
      random: () => 0,
      log: createLogger({ level: "trace", format: "json" }, { write: (line) => void log.push(JSON.parse(line)) }),
      metrics: createMetrics(registry),
    },
    { timelineLimit: 20, idleAfterMs: HOUR_MS, initialConcurrency: 4, ...intakeOptions },
  );
  const end = new AbortController();
  const running = pool.run(end.signal);
  const stop = async () => {
    end.abort();
    await running;
    await upstream[Symbol.asyncDispose]();
    await lock[Symbol.asyncDispose]();
  };
  return {
    owner,
    log,
    announced,
    stop,
    metric: async (name, labels = {}) => {
      const found = (await registry.getSingleMetric(name)?.get())?.values ?? [];
      const fits = (value: (typeof found)[number]) =>
        Object.entries(labels).every(([key, text]) => value.labels[key] === text);
      return found.filter(fits).reduce((sum, { value }) => sum + value, 0);
    },
    [Symbol.asyncDispose]: stop,
  };
}

/** A client of the device is here, with its token. */
export async function want(db: TestDatabase, { userId, deviceId, token }: Login): Promise<DeviceNid> {
  const { deviceNid } = await seeDevice(db, {
    userId: userId as UserId,
    deviceId: deviceId as DeviceId,
    sealToken: () => Buffer.from(token),
    tokenHash: Buffer.from(`hash of ${token}`),
    forwardedFor: undefined,
    userAgent: undefined,
  });
  await db.notify(DEVICES_CHANNEL, String(deviceNid));
  return deviceNid;
}

/** Waits until a query gives a row; the row. The test's own time limit ends it. */
export async function untilRow<Row extends object>(
  db: TestDatabase,
  text: string,
  ...values: readonly unknown[]
): Promise<Row> {
  for (;;) {
    const [row] = await db.query<Row>({ text, values });
    if (row !== undefined) return row;
    await sleep(LOOK_MS);
  }
}

/** Waits until something is true. The test's own time limit ends it. */
export async function until(condition: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(LOOK_MS);
}
