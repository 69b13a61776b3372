import { setTimeout as pause } from "node:timers/promises";
import { register, Session } from "../../support/room-life/api.ts";
import { RandomLife } from "./random-life.ts";
import { differences, truthOf, View } from "./view.ts";

const PASSWORD = "correct horse";
const USERS = ["alice", "bob", "carol", "dave"];
const POLL_MS = 2_000;
/** How long after the last deed a view may take to become what the homeserver says. */
const SETTLE_MS = 20_000;
const LOOK_MS = 500;

export interface LifeOptions {
  readonly homeserverUrl: string;
  readonly slidecarUrl: string;
  readonly seed: number;
  readonly seconds: number;
  /** How long the life goes on until views are compared; they are at its end too. */
  readonly secondsBetweenLooks: number;
  /** Aborts when the life shall end early. */
  readonly stop: AbortSignal;
  progress(line: string): void;
}

export interface LifeReport {
  readonly deeds: number;
  readonly refused: number;
  readonly rooms: number;
  /** How often all views were compared. */
  readonly looks: number;
  /** What a view has other than the homeserver; empty: nothing, at no look. */
  readonly differences: readonly string[];
}

interface Person {
  /** Acts on the homeserver. */
  readonly actor: Session;
  /** Asks the homeserver what is true; never syncs through Slidecar. */
  readonly witness: Session;
  readonly devices: readonly Device[];
}

/** A device that syncs through Slidecar as long as the life goes on. */
interface Device {
  readonly session: Session;
  readonly view: View;
  /** Rejects when a request failed. */
  readonly done: Promise<void>;
}

/** Lets four users with two devices each live, and compares what each device was told. Ends with the first look that finds something. */
export async function watchLife(options: LifeOptions): Promise<LifeReport> {
  const { seed, seconds, secondsBetweenLooks, stop, progress } = options;
  const isOver = new AbortController();
  const people: Person[] = [];
  for (const user of USERS) people.push(await person(user, options, isOver.signal));
  const devices = people.flatMap((each) => each.devices);
  const broken = Promise.all(devices.map(({ done }) => done));
  const life = new RandomLife(
    people.map(({ actor }) => actor),
    seed,
  );
  let looks = 0;
  let found: string[] = [];
  const live = async () => {
    for (let left = seconds; left > 0 && found.length === 0 && !stop.aborted; left -= secondsBetweenLooks) {
      await life.run(Math.min(left, secondsBetweenLooks), stop);
      found = await look(people, life);
      looks += 1;
      progress(`${life.counts.done} deeds, ${life.counts.refused} refused, ${life.rooms.length} rooms: compared`);
    }
  };
  try {
    // Devices end after the life; before it they end by a request that failed.
    await Promise.race([live(), broken]);
  } finally {
    isOver.abort();
  }
  await broken;
  return { deeds: life.counts.done, refused: life.counts.refused, rooms: life.rooms.length, looks, differences: found };
}

async function look(people: readonly Person[], life: RandomLife): Promise<string[]> {
  const found: string[] = [];
  for (const { witness, devices } of people) {
    const expectsInvites = !life.everIgnored.has(witness.userId);
    for (const { session, view } of devices) {
      const name = `${session.userId} ${session.deviceId}`;
      // The truth is asked for each time: a new name reaches a user's rooms after the request that sets it was answered.
      const kept = await settled(async () =>
        differences(view, await truthOf(witness), { isNew: expectsInvites, expectsInvites }),
      );
      const anew = await settled(async () => {
        const fresh = new View(session, "anew");
        await fresh.sync(0);
        return differences(fresh, await truthOf(witness), { isNew: true, expectsInvites });
      });
      found.push(...kept.map((line) => `${name}, kept: ${line}`), ...anew.map((line) => `${name}, anew: ${line}`));
    }
  }
  return found;
}

async function person(user: string, { homeserverUrl, slidecarUrl }: LifeOptions, isOver: AbortSignal): Promise<Person> {
  const actor = await register(homeserverUrl, user, PASSWORD, "PHONE");
  const through = ({ userId, deviceId, accessToken }: Session) =>
    watch(new Session(slidecarUrl, { user_id: userId, device_id: deviceId, access_token: accessToken }), isOver);
  const devices = [through(actor), through(await actor.loginAgain(PASSWORD, "TABLET"))];
  return { actor, witness: await actor.loginAgain(PASSWORD, "WITNESS"), devices };
}

/** Syncs until it is over. */
function watch(session: Session, isOver: AbortSignal): Device {
  const view = new View(session, "watch");
  const run = async () => {
    while (!isOver.aborted) await view.sync(POLL_MS);
  };
  const done = run();
  // It is looked at later.
  done.catch(() => {});
  return { session, view, done };
}

/** What is still different when there was time for it to become the same. */
async function settled(find: () => readonly string[] | Promise<readonly string[]>): Promise<readonly string[]> {
  const endMs = performance.now() + SETTLE_MS;
  for (;;) {
    const found = await find();
    if (found.length === 0 || performance.now() > endMs) return found;
    await pause(LOOK_MS);
  }
}
