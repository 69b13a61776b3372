import { notificationBody } from "../../e2e/golden/requests.ts";
import type { RowMeasure } from "../bench.ts";
import { Caller } from "../caller.ts";
import { OWNER, roomId, tokenOf, WINDOW_ROOMS } from "../population.ts";
import { quantile } from "../statistics.ts";
import { type Answer, keptConnections, parseSync, patientSyncWith, windowBody } from "../sync-client.ts";
import { loopbackFloorMs } from "./floor.ts";

/** So that no device exceeds its rate. */
const PUSHES_PER_DEVICE = 40;
/** Before the measured ones: so that the code is compiled. */
const WARM_UP_PER_DEVICE = 6;
/** From push to push: without a common divisor with the number of rooms, so that each is of another room. */
const ROOM_STEP = 37;

/** A device that a push wakes asks for the room that it is of, on a connection that it makes for this. */
export const push: RowMeasure = {
  key: "push",
  async measure({ service, sizes }) {
    const { client } = service;
    const agent = keptConnections(false, 1);
    const devices = Math.ceil(sizes.pushes / PUSHES_PER_DEVICE);
    const to = (index: number) => ({ url: client.clientUrl, token: tokenOf(OWNER, `P${index % devices}`), agent });
    const window = windowBody({ connId: "room-list", range: [0, WINDOW_ROOMS - 1] });
    for (let index = 0; index < devices; index += 1) await Caller.start(to(index), () => window);
    const wake = async (index: number): Promise<Answer> => {
      const room = roomId(`${OWNER}room${(index * ROOM_STEP) % sizes.ownerRooms}`);
      const answer = await patientSyncWith({ ...to(index), timeoutMs: 1_000 }, notificationBody([room]));
      if (parseSync(answer).rooms?.[room] === undefined) throw new Error(`an answer does not tell of ${room}`);
      return answer;
    };
    const warmUps = devices * WARM_UP_PER_DEVICE;
    for (let index = 0; index < warmUps; index += 1) await wake(index);
    const answers: Answer[] = [];
    const cpuBefore = client.cpuSeconds();
    for (let index = 0; index < sizes.pushes; index += 1) answers.push(await wake(warmUps + index));
    const cpuMs = ((client.cpuSeconds() - cpuBefore) * 1000) / answers.length;
    const floorMs = await loopbackFloorMs(client.internalUrl);
    agent.destroy();
    const times = answers.map(({ totalMs }) => totalMs - floorMs);
    return [
      {
        key: "push",
        quantity: `woken by a push, account of ${sizes.ownerRooms.toLocaleString("en")} rooms`,
        figures: [
          { name: "p50", value: quantile(times, 0.5), unit: "ms", target: undefined },
          { name: "p99", value: quantile(times, 0.99), unit: "ms", target: 50 },
        ],
        how:
          `${answers.length} times a device that is polled asks, one after the other, without pos and on a connection of its own, for ` +
          "what matrix-rust-sdk asks for when a push wakes it: one room with 16 events, each time another one, and a list of invites, " +
          `of which there are none. Until the last byte, less ${floorMs.toFixed(2)} ms, the median of GET /live. ` +
          `${Math.round((answers.at(-1)?.body.length ?? 0) / 1024)} KiB; ${cpuMs.toFixed(2)} ms of CPU in the serving process.`,
      },
    ];
  },
};
