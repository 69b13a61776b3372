// Access tokens that live for two seconds, as a homeserver with refresh tokens may have them, and what comes meanwhile.
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { register } from "../support/room-life/api.ts";
import { withLogs } from "./support/server-process.ts";
import { startSlidecar } from "./support/slidecar.ts";
import { startSynapse } from "./support/synapse.ts";
import { liveWithShortTokens, ShortLivedDevice } from "./support/token-life.ts";

/** The long run has a minute. */
const SECONDS = 10;
const TOKEN_LIFE = "2s";
const LOOK_MS = 50;
/** Shorter than the homeserver's word on a token counts otherwise. */
const REFUSED_WITHIN_MS = 45_000;

test("a device whose tokens live for two seconds misses nothing, and is refused once it renews them no more", async () => {
  await using synapse = await startSynapse({ native: false, accessTokenLife: TOKEN_LIFE });
  await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
  await withLogs([synapse, slidecar], async () => {
    const friend = await register(synapse.url, "bob", "correct horse", "PHONE");
    const device = await ShortLivedDevice.register(synapse.url, slidecar.url, "alice");
    const roomId = await friend.createRoom({ preset: "public_chat" });
    await device.act("POST", `v3/join/${encodeURIComponent(roomId)}`);
    const untilSeen = async (isSeen: () => boolean) => {
      while (!isSeen()) await pause(LOOK_MS);
    };
    const { sent } = await liveWithShortTokens({ device, friend, roomId, seconds: SECONDS, untilSeen });
    expect(device.complaints).toEqual([]);
    expect(device.events.filter((id) => sent.events.includes(id))).toEqual(sent.events);
    expect(device.numbers).toEqual(sent.numbers);
    expect(device.renewals).toBeGreaterThan(2);

    const startedMs = performance.now();
    await friend.sendText(roomId, "the poll under way ends with it");
    expect(await device.refusal()).toMatchObject({ status: 401, errcode: "M_UNKNOWN_TOKEN", soft_logout: true });
    expect(performance.now() - startedMs).toBeLessThan(REFUSED_WITHIN_MS);
  });
});
