// A client changes from Slidecar to the homeserver's own sliding sync and back, with the to-device token that it keeps for ever.
import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { register, type Session } from "../support/room-life/api.ts";
import { withLogs } from "./support/server-process.ts";
import { startSlidecar } from "./support/slidecar.ts";
import { startSynapse } from "./support/synapse.ts";

const PASSWORD = "correct horse";
const LOOK_MS = 100;

interface Answer {
  readonly pos: string;
  readonly extensions: {
    readonly to_device?: { readonly next_batch: string; readonly events: readonly { content: { n: number } }[] };
  };
}

/** What the client keeps when everything else is gone. */
interface Kept {
  since: string | undefined;
  readonly numbers: number[];
}

/** Asks one server, as a client that has just changed to it: without `pos`, with its token. */
async function until(n: number, device: Session, kept: Kept): Promise<void> {
  let pos: string | undefined;
  while (!kept.numbers.includes(n)) {
    const query = new URLSearchParams({ timeout: "0", ...(pos !== undefined && { pos }) });
    const toDevice = { enabled: true, limit: 2, ...(kept.since !== undefined && { since: kept.since }) };
    const body = { conn_id: "encryption", extensions: { to_device: toDevice, e2ee: { enabled: true } } };
    const path = `unstable/org.matrix.simplified_msc3575/sync?${query}`;
    const answer = await device.call<Answer>("POST", path, body);
    pos = answer.pos;
    const { next_batch: next, events } = answer.extensions.to_device ?? { next_batch: kept.since, events: [] };
    kept.since = next;
    for (const { content } of events) kept.numbers.push(content.n);
    if (events.length === 0) await pause(LOOK_MS);
  }
}

test("a client that leaves for the homeserver's own sliding sync and returns has every to-device message", async () => {
  await using synapse = await startSynapse({ native: true });
  await using slidecar = await startSlidecar({ homeserverUrl: synapse.url, config: { polling: { idle_after: "2s" } } });
  await withLogs([synapse, slidecar], async () => {
    const native = await register(synapse.url, "alice", PASSWORD, "PHONE");
    const fronted = native.at(slidecar.url);
    const bob = await register(synapse.url, "bob", PASSWORD, "PHONE");
    const tell = async (...numbers: readonly number[]) => {
      for (const n of numbers) await bob.sendToDevice("m.test", { [native.userId]: { PHONE: { n } } });
    };
    const isPolled = async () => (await slidecar.metrics()).value("slidecar_pollers") > 0;
    const kept: Kept = { since: undefined, numbers: [] };

    await tell(1, 2, 3);
    await until(3, fronted, kept);
    expect(kept.since).toMatch(/^-\d+$/);
    // Slidecar still takes it from the homeserver, and keeps it until the client is back.
    await tell(4);
    while (await isPolled()) await pause(LOOK_MS);

    await tell(5, 6);
    await until(6, native, kept);
    expect(kept.since).toMatch(/^\d+$/);

    await tell(7, 8, 9);
    await until(9, fronted, kept);
    expect(kept.since).toMatch(/^-\d+$/);
    await tell(10);
    await until(10, fronted, kept);
    while (await isPolled()) await pause(LOOK_MS);

    await tell(11);
    await until(11, native, kept);
    // Each server tells again what it does not know that the client has.
    const had = [...new Set(kept.numbers)].sort((a, b) => a - b);
    expect(had).toEqual(Array.from({ length: 11 }, (_, index) => index + 1));
  });
});
