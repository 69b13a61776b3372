import type { Agent } from "node:http";
import type { RowMeasure } from "../bench.ts";
import { Caller } from "../caller.ts";
import { OWNER, tokenOf, WINDOW_ROOMS } from "../population.ts";
import type { Product } from "../product.ts";
import type { Row } from "../row.ts";
import { keptConnections, type SyncBody, windowBody } from "../sync-client.ts";
import { cpuPerCallMs, liveCpuMs } from "./floor.ts";

/** What is measured, each alone and all together: as matrix-rust-sdk asks for them. */
const EXTENSIONS = {
  to_device: { enabled: true },
  e2ee: { enabled: true },
  account_data: { enabled: true },
  receipts: { enabled: true, rooms: ["*"] },
  typing: { enabled: true },
} as const;
type Name = keyof typeof EXTENSIONS;
const NAMES = Object.keys(EXTENSIONS) as Name[];

/** So that no device exceeds its rate. */
const REQUESTS_PER_DEVICE = 40;
/** Of each device, before the measured ones: so that the code is compiled. */
const WARM_UP_PER_DEVICE = 5;
/** Each set of extensions has its turn in each of them, so that what else the process does falls on all alike. */
const ROUNDS = 10;

/** Devices that ask for the same extensions. */
interface Asking {
  readonly names: readonly Name[];
  readonly callers: readonly Caller[];
  cpuMs: number;
}

/** What extensions add to an answer that finds nothing changed. */
export const extensions: RowMeasure = {
  key: "extensions",
  async measure({ service: { client }, sizes }) {
    const requests = sizes.extensionRequests;
    const agent = keptConnections(false, 1);
    const devices = Math.ceil(requests / REQUESTS_PER_DEVICE);
    const sets: Asking[] = [];
    for (const names of [[], ...NAMES.map((name) => [name]), NAMES]) {
      sets.push({ names, callers: await startCallers(client, agent, names, devices), cpuMs: 0 });
    }
    const floorMs = await liveCpuMs(requests, client);
    for (let round = 0; round < ROUNDS; round += 1) {
      for (const set of sets) set.cpuMs += (await measureRound(client, set.callers, requests / ROUNDS)) / ROUNDS;
    }
    agent.destroy();
    return rowsOf(sets, requests, floorMs);
  },
};

function rowsOf(sets: readonly Asking[], requests: number, floorMs: number): readonly Row[] {
  const [bare, ...others] = sets;
  const all = others.pop();
  if (bare === undefined || all === undefined) throw new Error("nothing was measured");
  const each = `${requests} requests with timeout=0 and pos, in turns of ${requests / ROUNDS} with those of the other rows`;
  const withAll: Row = {
    key: "extensions",
    quantity: "answer with nothing changed, with extensions",
    figures: [{ name: "CPU", value: all.cpuMs - floorMs, unit: "ms", target: 0.2 }],
    how:
      `The account and the window of the row with nothing changed; ${all.names.join(", ")}. ${each}: ${all.cpuMs.toFixed(3)} ms of CPU ` +
      `of the serving process each, less ${floorMs.toFixed(3)} ms of a GET /live. Without extensions ` +
      `${(bare.cpuMs - floorMs).toFixed(3)} ms.`,
  };
  const alone = others.map(
    ({ names, cpuMs }): Row => ({
      key: `extensions-${names.join()}`,
      quantity: `what ${names.join()} adds to it`,
      figures: [{ name: "CPU", value: cpuMs - bare.cpuMs, unit: "ms", target: undefined }],
      how:
        `The only extension that is asked for, less what the same costs without any. ${each}. Processor time is told in steps of ` +
        `10 ms, which is ${(10 / requests).toFixed(3)} ms of a request.`,
    }),
  );
  return [withAll, ...alone];
}

async function startCallers(
  { clientUrl: url }: Product,
  agent: Agent,
  names: readonly Name[],
  devices: number,
): Promise<readonly Caller[]> {
  const callers: Caller[] = [];
  for (let index = 0; index < devices; index += 1) {
    const to = { url, token: tokenOf(OWNER, `E${names.join("")}${index}`), agent };
    callers.push(await Caller.start(to, (last) => bodyAfter(names, last)));
  }
  for (let round = 0; round < WARM_UP_PER_DEVICE; round += 1) for (const caller of callers) await caller.again();
  return callers;
}

/** A client acknowledges what it was told of to-device messages. */
function bodyAfter(names: readonly Name[], last: SyncBody | undefined): object {
  const since = last?.extensions?.to_device?.next_batch;
  const asked = names.map((name) => {
    const isAcknowledged = name === "to_device" && since !== undefined;
    return [name, isAcknowledged ? { ...EXTENSIONS[name], since } : EXTENSIONS[name]] as const;
  });
  const window = windowBody({ connId: "extensions", range: [0, WINDOW_ROOMS - 1] });
  return names.length === 0 ? window : { ...window, extensions: Object.fromEntries(asked) };
}

/** CPU per request. */
const measureRound = (client: Product, callers: readonly Caller[], requests: number): Promise<number> =>
  cpuPerCallMs(requests, client, async (index) => await callers[index % callers.length]?.again());
