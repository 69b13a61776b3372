import { setTimeout as pause } from "node:timers/promises";
import { withLogs } from "../e2e/support/server-process.ts";
import { startSlidecar } from "../e2e/support/slidecar.ts";
import { startSynapse } from "../e2e/support/synapse.ts";
import { liveWithShortTokens, ShortLivedDevice } from "../e2e/support/token-life.ts";
import { register } from "../support/room-life/api.ts";
import type { Soak, SoakOptions } from "./soak.ts";

const MINUTES = 1;
const TOKEN_LIFE = "2s";
const LOOK_MS = 50;
/** Longer: what never comes holds up the run. */
const LATE_MS = 60_000;

/** Access tokens change every two seconds under a room list and an encryption connection. */
export const tokens: Soak = {
  name: "tokens",
  run: async ({ minutes = MINUTES, stop }: SoakOptions) => {
    const command = `npm run test:soak -- tokens --minutes ${minutes}`;
    try {
      await using synapse = await startSynapse({ native: false, accessTokenLife: TOKEN_LIFE });
      await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
      return await withLogs([synapse, slidecar], async () => {
        const friend = await register(synapse.url, "bob", "correct horse", "PHONE");
        const device = await ShortLivedDevice.register(synapse.url, slidecar.url, "alice");
        const roomId = await friend.createRoom({ preset: "public_chat" });
        await device.act("POST", `v3/join/${encodeURIComponent(roomId)}`);
        const untilSeen = async (isSeen: () => boolean) => {
          const limitMs = performance.now() + LATE_MS;
          while (!isSeen() && performance.now() < limitMs && !stop.aborted) await pause(LOOK_MS);
        };
        const { sent } = await liveWithShortTokens({ device, friend, roomId, seconds: minutes * 60, untilSeen });
        const told = device.events.filter((id) => sent.events.includes(id));
        const differences = [
          ...device.complaints,
          ...(String(told) === String(sent.events) ? [] : [`events ${told} of ${sent.events}`]),
          ...(String(device.numbers) === String(sent.numbers) ? [] : [`messages ${device.numbers}`]),
        ];
        const lines = [
          `\`${command}\`: Synapse ${synapse.version} with access tokens that live for ${TOKEN_LIFE}; a device with two connections, a room list`,
          `and encryption, got new ones ${device.renewals} times. ${sent.events.length} events and as many to-device messages, each told once and in`,
          `order; ${device.complaints.length} requests were refused for another reason than an expired token.`,
        ];
        return { lines, failures: differences };
      });
    } catch (error) {
      return { lines: [`\`${command}\` ended early.`], failures: [String(error)] };
    }
  },
};
