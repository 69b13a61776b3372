import { setTimeout as pause } from "node:timers/promises";
import { expect, test } from "@jest/globals";
import { register, Session } from "../support/room-life/api.ts";
import { RandomLife } from "./support/random-life.ts";
import { withLogs } from "./support/server-process.ts";
import { startSlidecar } from "./support/slidecar.ts";
import { startSynapse } from "./support/synapse.ts";
import { differences, truthOf, View } from "./support/view.ts";

const PASSWORD = "correct horse";
const USERS = ["alice", "bob", "carol", "dave"];
const SEED = 1;
const SECONDS = 25;
const POLL_MS = 2_000;
/** How long after the last deed a view may take to become what the homeserver says. */
const SETTLE_MS = 20_000;
const LOOK_MS = 500;

interface Person {
  /** Acts on the homeserver. */
  readonly actor: Session;
  /** Asks the homeserver what is true; never syncs through Slidecar. */
  readonly witness: Session;
  /** Sync through Slidecar. */
  readonly devices: readonly Session[];
}

test("in a random life each of four users' two devices sees what the homeserver says", async () => {
  await using synapse = await startSynapse({ native: false });
  await using slidecar = await startSlidecar({ homeserverUrl: synapse.url });
  await withLogs([synapse, slidecar], () => livesAndSees(synapse.url, slidecar.url, SECONDS, SEED));
});

async function livesAndSees(homeserverUrl: string, slidecarUrl: string, seconds: number, seed: number): Promise<void> {
  const people: Person[] = [];
  for (const user of USERS) people.push(await person(user, homeserverUrl, slidecarUrl));
  const life = new RandomLife(
    people.map(({ actor }) => actor),
    seed,
  );
  const isOver = new AbortController();
  const watching = people.map(({ devices }) => devices.map((device) => watch(device, isOver.signal)));
  await life.run(seconds);
  const seen: string[] = [];
  for (const [index, { witness, devices }] of people.entries()) {
    const truth = await truthOf(witness);
    const expectsInvites = !life.everIgnored.has(witness.userId);
    for (const [at, { view }] of (watching[index] ?? []).entries()) {
      const name = `${devices[at]?.userId} ${devices[at]?.deviceId}`;
      const kept = await settled(() => differences(view, truth, { isNew: expectsInvites, expectsInvites }));
      const anew = await settled(async () => {
        const fresh = new View(devices[at] as Session, "anew");
        await fresh.sync(0);
        return differences(fresh, truth, { isNew: true, expectsInvites });
      });
      seen.push(...kept.map((line) => `${name}, kept: ${line}`), ...anew.map((line) => `${name}, anew: ${line}`));
    }
  }
  isOver.abort();
  await Promise.all(watching.flat().map(({ done }) => done));
  console.log(`seed ${seed}: ${life.counts.done} deeds, ${life.counts.refused} refused, ${life.rooms.length} rooms`);
  expect(seen).toEqual([]);
}

async function person(user: string, homeserverUrl: string, slidecarUrl: string): Promise<Person> {
  const actor = await register(homeserverUrl, user, PASSWORD, "PHONE");
  const through = (session: Session) =>
    new Session(slidecarUrl, {
      user_id: session.userId,
      device_id: session.deviceId,
      access_token: session.accessToken,
    });
  const devices = [through(actor), through(await actor.loginAgain(PASSWORD, "TABLET"))];
  return { actor, witness: await actor.loginAgain(PASSWORD, "WITNESS"), devices };
}

/** Syncs until it is over. */
function watch(device: Session, isOver: AbortSignal): { readonly view: View; readonly done: Promise<void> } {
  const view = new View(device, "watch");
  const run = async () => {
    while (!isOver.aborted) await view.sync(POLL_MS);
  };
  return { view, done: run() };
}

/** What is still different when there was time for it to become the same. */
async function settled(look: () => readonly string[] | Promise<readonly string[]>): Promise<readonly string[]> {
  const endMs = performance.now() + SETTLE_MS;
  for (;;) {
    const found = await look();
    if (found.length === 0 || performance.now() > endMs) return found;
    await pause(LOOK_MS);
  }
}
