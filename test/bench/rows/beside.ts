import { createWriteStream } from "node:fs";
import { stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { setTimeout as pause } from "node:timers/promises";
import type { Bench, RowMeasure } from "../bench.ts";
import { openBenchDatabase } from "../bench-database.ts";
import { HEAVY, tokenOf, userId } from "../population.ts";
import type { Row } from "../row.ts";
import { quantile, quantileInTime } from "../statistics.ts";
import { call, keptConnections, sync } from "../sync-client.ts";
import { accountBody } from "../upstream/rooms.ts";
import { observe, type Scene, startClients, WARM_UP_SECONDS, type WaitingClient } from "./live.ts";

const SCENE: Scene = { audience: "groups", parties: 1, events: 12, isPromised: true };
/** Live events are let happen for so long, again and again, until the sync is stored. */
const STEP_SECONDS = 5;
/** Between two looks at the serving process. Shorter: the looking itself is felt. */
const PAUSE_MS = 15;
const MEGABYTE = 1e6;

/** What an initial sync of 500 MB does to those who live beside it, and to the process that takes it in. */
export const beside: RowMeasure = {
  key: "beside",
  async measure(bench) {
    const { sizes, folder, upstream, progress } = bench;
    if (sizes.heavyRooms === 0) return [];
    progress(`beside: a body of ${sizes.heavyRooms} rooms`);
    const file = join(folder, "heavy.json");
    // On disk before anything is measured: to write it down is no part of what is.
    const body = createWriteStream(file, { flush: true });
    await pipeline(Readable.from(accountBody(HEAVY, sizes.heavyRooms, 0)), body);
    await upstream.tell({ kind: "body", name: HEAVY, file, rooms: sizes.heavyRooms });
    const { size } = await stat(file);
    const clients: WaitingClient[] = [];
    try {
      await startClients(bench, SCENE, clients);
      await observe(bench, clients, SCENE, WARM_UP_SECONDS);
      progress(`beside: ${Math.round(size / MEGABYTE)} MB`);
      return await measureBeside(bench, clients, size);
    } finally {
      for (const client of clients) client.stop();
    }
  },
};

async function measureBeside(bench: Bench, clients: readonly WaitingClient[], bodyBytes: number): Promise<Row[]> {
  const { service } = bench;
  const startedMs = performance.now();
  const agent = keptConnections(false);
  const url = service.client.clientUrl;
  const asked = sync({ url, token: tokenOf(HEAVY), agent, connId: "heavy", range: [0, 0] }).catch(() => undefined);
  const stalls = new Stalls(service.client.internalUrl);
  const times: number[] = [];
  let seconds = 0;
  while (!(await isSynced(bench))) {
    const { arrivals } = await observe(bench, clients, SCENE, STEP_SECONDS);
    seconds = (performance.now() - startedMs) / 1000;
    times.push(...arrivals.map(({ writtenUs, arrivedUs }) => (arrivedUs - writtenUs) / 1000));
  }
  const waits = await stalls.end();
  await asked;
  agent.destroy();
  const size = `${Math.round(bodyBytes / MEGABYTE)} MB`;
  const how = `While an initial sync of ${size} was taken in, in ${seconds.toFixed(0)} s at most.`;
  return [
    {
      key: "beside-live",
      quantity: `event in to client out, 100 events/s, 5 clients, beside an initial sync of ${size}`,
      figures: [
        { name: "p50", value: quantile(times, 0.5), unit: "ms", target: 5 },
        { name: "p99", value: quantile(times, 0.99), unit: "ms", target: 40 },
      ],
      how: `${how} Measured as without it, ${times.length.toLocaleString("en")} arrivals.`,
    },
    {
      key: "beside-stall",
      quantity: "how long the serving process lets wait who comes at any moment, meanwhile",
      figures: [{ name: "p99", value: quantileInTime(waits, PAUSE_MS, 0.99), unit: "ms", target: 20 }],
      how: `${how} ${waits.length.toLocaleString("en")} requests of GET /live, each ${PAUSE_MS} ms after the one before; each counts as long as it took, and the pause. The longest took ${Math.max(...waits).toFixed(1)} ms.`,
    },
    {
      key: "beside-memory",
      quantity: `memory of the intake process, a response of ${size}`,
      figures: [{ name: "peak", value: service.intake.peakBytes() / MEGABYTE, unit: "MB", target: 400 }],
      how: "The most that was resident at a time since the process started (VmHWM).",
    },
  ];
}

async function isSynced({ databaseUrl }: Bench): Promise<boolean> {
  await using db = openBenchDatabase(databaseUrl);
  const text = "SELECT FROM devices JOIN users USING (user_nid) WHERE user_id = $1 AND is_synced";
  return (await db.query({ text, values: [userId(HEAVY)] })).length > 0;
}

/** Asks a process again and again, and notes how long each answer took. */
class Stalls {
  readonly #waits: number[] = [];
  readonly #running: Promise<void>;
  #isEnded = false;

  constructor(internalUrl: string) {
    this.#running = this.#run(`${internalUrl}/live`);
  }

  async end(): Promise<readonly number[]> {
    this.#isEnded = true;
    await this.#running;
    return this.#waits;
  }

  async #run(url: string): Promise<void> {
    const agent = keptConnections(false, 1);
    while (!this.#isEnded) {
      this.#waits.push((await call({ url, agent })).totalMs);
      await pause(PAUSE_MS);
    }
    agent.destroy();
  }
}
