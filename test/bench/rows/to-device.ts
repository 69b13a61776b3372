import { setTimeout as pause } from "node:timers/promises";
import { encryptionBody } from "../../e2e/golden/requests.ts";
import type { RowMeasure } from "../bench.ts";
import { OWNER, tokenOf } from "../population.ts";
import { quantile } from "../statistics.ts";
import { type Answer, keptConnections, parseSync, patientSyncWith, type SyncTo } from "../sync-client.ts";
import { loopbackFloorMs } from "./floor.ts";

/** As many as one answer has at most. */
const MESSAGES = 100;
/** So that no device exceeds its rate. */
const ANSWERS_PER_DEVICE = 35;
/** Of each device, before the measured ones: so that the code is compiled. */
const WARM_UP_PER_DEVICE = 5;
const POLL_MS = 100;
/** How long messages take at most from the homeserver to a first answer, on a machine that is busy. */
const STORED_WITHIN_MS = 30_000;

/** A client that was away finds its messages; it acknowledges none of them, so that each answer has all. */
export const toDevice: RowMeasure = {
  key: "to-device",
  async measure({ service, sizes, upstream }) {
    const { client } = service;
    const agent = keptConnections(false, 1);
    const devices = Array.from({ length: Math.ceil(sizes.toDeviceAnswers / ANSWERS_PER_DEVICE) }, (_, at) => `M${at}`);
    const callers = devices.map((device) => ({ url: client.clientUrl, token: tokenOf(OWNER, device), agent }));
    for (const caller of callers) {
      await ask(caller);
      await upstream.tell({ kind: "to device", token: caller.token, messages: MESSAGES });
    }
    for (const caller of callers) await untilAllThere(caller);
    for (let round = 0; round < WARM_UP_PER_DEVICE; round += 1) for (const caller of callers) await ask(caller);
    const answers: Answer[] = [];
    const cpuBefore = client.cpuSeconds();
    for (let index = 0; index < sizes.toDeviceAnswers; index += 1) {
      const caller = callers[index % callers.length];
      if (caller !== undefined) answers.push(await ask(caller));
    }
    const cpuMs = ((client.cpuSeconds() - cpuBefore) * 1000) / answers.length;
    if (!answers.every(hasAll)) throw new Error("an answer lacks messages");
    const floorMs = await loopbackFloorMs(client.internalUrl);
    agent.destroy();
    const times = answers.map(({ totalMs }) => totalMs - floorMs);
    return [
      {
        key: "to-device",
        quantity: `${MESSAGES} to-device messages in one answer`,
        figures: [
          { name: "p50", value: quantile(times, 0.5), unit: "ms", target: undefined },
          { name: "p99", value: quantile(times, 0.99), unit: "ms", target: 20 },
        ],
        how:
          `${answers.length} requests without pos of a connection that asks for to-device messages and keys alone, one after the ` +
          `other, until the last byte; less ${floorMs.toFixed(2)} ms, the median of GET /live. ` +
          `${Math.round((answers.at(-1)?.body.length ?? 0) / 1024)} KiB; ${cpuMs.toFixed(2)} ms of CPU in the serving process.`,
      },
    ];
  },
};

const ask = (to: SyncTo): Promise<Answer> => patientSyncWith(to, encryptionBody(undefined));

const hasAll = (answer: Answer): boolean => parseSync(answer).extensions?.to_device?.events?.length === MESSAGES;

async function untilAllThere(to: SyncTo): Promise<void> {
  const deadlineMs = performance.now() + STORED_WITHIN_MS;
  while (!hasAll(await ask(to))) {
    if (performance.now() > deadlineMs) throw new Error("the messages to a device were not all told");
    await pause(POLL_MS);
  }
}
