import type { Bench, RowMeasure } from "../bench.ts";
import type { OtherServer } from "../options.ts";
import { OWNER, tokenOf, WINDOW_ROOMS } from "../population.ts";
import type { Figure, Row } from "../row.ts";
import { WARM_UPS } from "../sizes.ts";
import { quantile } from "../statistics.ts";
import { type Answer, keptConnections, parseSync, patientSync, type SyncCall } from "../sync-client.ts";
import { loopbackFloorMs } from "./floor.ts";

/** So that no device exceeds its rate: each may make 60 requests at once. */
const REQUESTS_PER_DEVICE = 40;
/** Of each of the measured devices: so that it is known. */
const WARM_UP_PER_DEVICE = 2;
/** Requests to the other server; more take long where it holds a device to few in a second. */
const OTHER_REQUESTS = 100;

/** First requests, with everything in the memory of the process. */
export const initialWarm: RowMeasure = {
  key: "initial-warm",
  async measure(bench) {
    const { client } = bench.service;
    const agent = keptConnections(false, 1);
    const devices = Math.ceil(bench.sizes.warmRequests / REQUESTS_PER_DEVICE);
    const request = (device: string): SyncCall => ({
      url: client.clientUrl,
      token: tokenOf(OWNER, device),
      agent,
      connId: "warm",
      range: [0, WINDOW_ROOMS - 1],
    });
    const [warmUps, warmUpDevices] = [bench.sizes.warmRequests * WARM_UPS, devices * WARM_UPS];
    for (let index = 0; index < warmUps; index += 1) await patientSync(request(`S${index % warmUpDevices}`));
    const again = devices * WARM_UP_PER_DEVICE;
    for (let index = 0; index < again; index += 1) await patientSync(request(`W${index % devices}`));
    const answers: Answer[] = [];
    const cpuBefore = client.cpuSeconds();
    for (let index = 0; index < bench.sizes.warmRequests; index += 1) {
      answers.push(await patientSync(request(`W${index % devices}`)));
    }
    const cpuMs = ((client.cpuSeconds() - cpuBefore) * 1000) / answers.length;
    const floorMs = await loopbackFloorMs(client.internalUrl);
    agent.destroy();
    return [await rowOf(bench, answers, floorMs, cpuMs)];
  },
};

async function rowOf(bench: Bench, answers: readonly Answer[], floorMs: number, cpuMs: number): Promise<Row> {
  const totals = answers.map(({ totalMs }) => totalMs);
  const firsts = answers.map(({ firstByteMs }) => firstByteMs);
  const last = answers.at(-1);
  const rooms = last === undefined ? 0 : Object.keys(parseSync(last).rooms ?? {}).length;
  const row: Row = {
    key: "initial-warm",
    bare: ["answer", "append", "splice"],
    quantity: `initial answer, account of ${bench.sizes.ownerRooms.toLocaleString("en")} rooms, all in memory`,
    figures: [
      { name: "p50", value: quantile(totals, 0.5) - floorMs, unit: "ms", target: 2 },
      { name: "p99", value: quantile(totals, 0.99) - floorMs, unit: "ms", target: 15 },
    ],
    how:
      `${answers.length} requests without pos, one after the other, after ${WARM_UPS} times as many to warm up, over a kept ` +
      `connection, until the last byte; less ` +
      `${floorMs.toFixed(2)} ms, the median of GET /live. ${rooms} rooms, ${Math.round((last?.body.length ?? 0) / 1024)} KiB; ` +
      `first byte p50 ${quantile(firsts, 0.5).toFixed(2)} ms, p99 ${quantile(firsts, 0.99).toFixed(2)} ms, not reduced; ` +
      `${cpuMs.toFixed(2)} ms of CPU in the serving process.`,
  };
  return bench.other === undefined ? row : { ...row, other: await measureOther(bench.other) };
}

async function measureOther({ url, token }: OtherServer): Promise<readonly Figure[]> {
  const agent = keptConnections(url.startsWith("https:"), 1);
  const times: number[] = [];
  for (let index = 0; index < OTHER_REQUESTS; index += 1) {
    const range = [0, WINDOW_ROOMS - 1] as const;
    times.push((await patientSync({ url, token, agent, connId: "bench-initial", range })).totalMs);
  }
  agent.destroy();
  return [
    { name: "p50", value: quantile(times, 0.5), unit: "ms", target: undefined },
    { name: "p99", value: quantile(times, 0.99), unit: "ms", target: undefined },
  ];
}
