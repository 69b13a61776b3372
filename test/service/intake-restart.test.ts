import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, expect, test } from "@jest/globals";
import { Registry } from "prom-client";
import type { RoomReads } from "../../src/homeserver/room-reads.ts";
import type { ValueReads } from "../../src/homeserver/value-reads.ts";
import { createIntake } from "../../src/intake/intake.ts";
import type { SyncUpstream } from "../../src/intake/poller/poller-deps.ts";
import { systemClock } from "../../src/lib/clock.ts";
import { createLogger } from "../../src/logging/logger.ts";
import { createMetrics } from "../../src/metrics/metrics.ts";
import { DEVICES_CHANNEL } from "../../src/store/devices.ts";
import { openTestDatabase, type TestDatabase } from "../support/database.ts";
import { until } from "../support/intake-run.ts";

const DEVICES = 5_000;
const NEW_DEVICES = 50;
const MAX_FIRST = 4;
const MAX_CATCH_UPS = 32;
/** What a catch-up takes the homeserver. */
const ANSWER_MS = 5;
const LONG_MS = 120_000;

type Poll = Parameters<SyncUpstream["syncV2"]>[0];
type Kind = "first" | "catch-up" | "live";

let db: TestDatabase;

beforeAll(async () => {
  db = await openTestDatabase();
});

afterAll(async () => {
  await db[Symbol.asyncDispose]();
});

/** A homeserver that counts who asks at the same time. */
class CountingUpstream {
  readonly order: string[] = [];
  readonly held = new Set<string>();
  readonly #now: Record<Kind, number> = { first: 0, "catch-up": 0, live: 0 };
  readonly most: Record<Kind, number> = { first: 0, "catch-up": 0, live: 0 };
  readonly rooms = {} as RoomReads;
  readonly values = {
    joinedRooms: () => Promise.reject(new Error("nothing is shown ahead here")),
  } as unknown as ValueReads;

  async syncV2(poll: Poll): Promise<AsyncIterable<Buffer>> {
    const kind: Kind = poll.since === undefined ? "first" : poll.timeoutMs < 1_000 ? "catch-up" : "live";
    this.#now[kind] += 1;
    this.most[kind] = Math.max(this.most[kind], this.#now[kind]);
    try {
      if (kind === "live") await this.#park(poll);
      else this.order.push(poll.token);
      await sleep(ANSWER_MS, undefined, { signal: poll.signal });
    } finally {
      this.#now[kind] -= 1;
    }
    const body = Buffer.from(JSON.stringify({ next_batch: `${poll.since ?? "s"}+` }));
    return (async function* () {
      yield body;
    })();
  }

  async #park({ token, signal }: Poll): Promise<void> {
    this.held.add(token);
    await new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason as Error)));
  }
}

/** Device n was wanted n seconds ago; every hundredth was never synced. Token and name are its number. */
async function makeDevices(): Promise<void> {
  await db.query({
    text: `INSERT INTO users (user_id) SELECT '@user' || n || ':test' FROM generate_series(1, ${DEVICES}) AS n`,
  });
  await db.query({
    text: `
      INSERT INTO devices (user_nid, device_id, token, token_hash, since, is_synced, wanted_at)
      SELECT user_nid, 'D', convert_to(n::text, 'UTF8'), convert_to('hash' || n, 'UTF8'), CASE WHEN n % $2 > 0 THEN 's' END,
             n % $2 > 0, now() - n * interval '1 second'
        FROM users, LATERAL (SELECT substring(user_id FROM '[0-9]+')::int AS n) AS numbered WHERE n <= $1`,
    values: [DEVICES, DEVICES / NEW_DEVICES],
  });
}

test(
  "after a restart with 5,000 devices few polls go out at a time, active devices first, and one that is asked for before the rest",
  async () => {
    await makeDevices();
    const upstream = new CountingUpstream();
    const lock = await db.holdSessionLock(77);
    const pool = createIntake(
      {
        db,
        upstream,
        onPosition: () => {},
        openToken: String,
        owner: 77,
        clock: systemClock,
        random: () => 0,
        log: createLogger({ level: "fatal", format: "json" }),
        metrics: createMetrics(new Registry()),
      },
      { timelineLimit: 20, idleAfterMs: 24 * 60 * 60_000, initialConcurrency: MAX_FIRST },
    );
    const stop = new AbortController();
    const running = pool.run(stop.signal);
    await until(() => upstream.order.length > 100);
    const [asked] = await db.query<{ device_nid: number }>({
      text: "SELECT device_nid FROM devices WHERE token = convert_to($1, 'UTF8')",
      values: [String(DEVICES - 1)],
    });
    await db.notify(DEVICES_CHANNEL, String(asked?.device_nid));
    await until(() => upstream.held.size === DEVICES);
    stop.abort();
    await running;
    await lock[Symbol.asyncDispose]();
    expect(upstream.most.first).toBeLessThanOrEqual(MAX_FIRST);
    expect(upstream.most["catch-up"]).toBeLessThanOrEqual(MAX_CATCH_UPS);
    expect(upstream.most["catch-up"]).toBeGreaterThan(MAX_CATCH_UPS / 2);
    const caughtUp = upstream.order.filter((token) => Number(token) % (DEVICES / NEW_DEVICES) > 0).map(Number);
    // What goes out together may change places.
    const early = caughtUp.slice(0, 100);
    expect(Math.max(...early)).toBeLessThanOrEqual(100 + 2 * MAX_CATCH_UPS);
    expect(caughtUp.indexOf(DEVICES - 1)).toBeLessThan(DEVICES / 2);
  },
  LONG_MS,
);
