import type { RowMeasure } from "../bench.ts";
import { Caller } from "../caller.ts";
import type { OtherServer } from "../options.ts";
import { OWNER, tokenOf, WINDOW_ROOMS } from "../population.ts";
import type { Figure, Row } from "../row.ts";
import { quantile } from "../statistics.ts";
import { keptConnections, windowBody } from "../sync-client.ts";
import { cpuPerCallMs, liveCpuMs } from "./floor.ts";

/** So that no device exceeds its rate: each may make 60 requests at once. */
const REQUESTS_PER_DEVICE = 50;
const OTHER_REQUESTS = 100;

/** Requests with a pos after which nothing happened. */
export const unchanged: RowMeasure = {
  key: "unchanged",
  async measure(bench) {
    const { client } = bench.service;
    const { unchangedRequests, ownerRooms } = bench.sizes;
    const agent = keptConnections(false, 1);
    const devices = Math.ceil(unchangedRequests / REQUESTS_PER_DEVICE);
    const start = (device: string) => {
      const to = { url: client.clientUrl, token: tokenOf(OWNER, device), agent };
      return Caller.start(to, () => windowBody(window));
    };
    for (let index = 0; index < devices; index += 1) {
      const caller = await start(`V${index}`);
      for (let count = 0; count < REQUESTS_PER_DEVICE; count += 1) await caller.again();
    }
    const callers: Caller[] = [];
    for (let index = 0; index < devices; index += 1) callers.push(await start(`U${index}`));
    const floorMs = await liveCpuMs(unchangedRequests, client);
    const times: number[] = [];
    const cpuMs = await cpuPerCallMs(unchangedRequests, client, async (index) => {
      const caller = callers[index % devices];
      if (caller !== undefined) times.push((await caller.again()).totalMs);
    });
    agent.destroy();
    const row: Row = {
      key: "unchanged",
      bare: ["answer", "scan"],
      quantity: `answer with nothing changed, account of ${ownerRooms.toLocaleString("en")} rooms`,
      figures: [{ name: "CPU", value: cpuMs - floorMs, unit: "ms", target: 0.2 }],
      how:
        `${unchangedRequests} requests with timeout=0 and pos, one after the other, after as many to warm up: ` +
        `${cpuMs.toFixed(3)} ms of CPU of the serving process each, less ${floorMs.toFixed(3)} ms of a GET /live. Latency, not reduced: ` +
        `p50 ${quantile(times, 0.5).toFixed(2)} ms, p99 ${quantile(times, 0.99).toFixed(2)} ms.`,
    };
    return [bench.other === undefined ? row : { ...row, other: await measureOther(bench.other) }];
  },
};

const window = { connId: "unchanged", range: [0, WINDOW_ROOMS - 1] } as const;

async function measureOther({ url, token }: OtherServer): Promise<readonly Figure[]> {
  const agent = keptConnections(url.startsWith("https:"), 1);
  const body = windowBody({ ...window, connId: "bench-unchanged" });
  const caller = await Caller.start({ url, token, agent }, () => body);
  const times: number[] = [];
  for (let index = 0; index < OTHER_REQUESTS; index += 1) times.push((await caller.again()).totalMs);
  agent.destroy();
  return [
    { name: "p50", value: quantile(times, 0.5), unit: "ms", target: undefined },
    { name: "p99", value: quantile(times, 0.99), unit: "ms", target: undefined },
  ];
}
