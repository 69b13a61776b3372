import fc from "fast-check";
import { type Asking, EVERYTHING, STATEMENTS, WAYS, WISHES } from "./clients.ts";
import { type Deed, deed, VISIBILITIES } from "./deeds.ts";
import { type Beginning, type Meanwhile, type Serving, type Settings, USERS, VisibilityWorld } from "./world.ts";

const DEVICE_STEPS = ["take", "poll", "store", "store room", "lose", "stop", "resume", "fetch history"] as const;
const STEPS_OF_ALL = ["ask", "answer", "restart intake", "restart serving"] as const;

interface SyncStep {
  readonly does: "sync";
  readonly user: number;
  readonly asking: Asking;
  /** The serving process has not taken in what was stored last. */
  readonly isBehind: boolean;
  readonly meanwhile: Meanwhile | undefined;
}

type Step =
  | Deed
  | SyncStep
  | { readonly does: (typeof DEVICE_STEPS)[number]; readonly device: number }
  | { readonly does: (typeof STEPS_OF_ALL)[number] };

export interface VisibilityPlan extends Settings, Beginning {
  readonly steps: readonly Step[];
}

const device = fc.nat(USERS - 1);
const ofDevice = (does: (typeof DEVICE_STEPS)[number]) => fc.record({ does: fc.constant(does), device });
const often = (value: boolean) => fc.constantFrom(value, value, value, value, value, !value);

const asking = fc.record({
  connection: fc.nat(1),
  isNew: often(false),
  way: fc.constantFrom(...WAYS),
  limit: fc.constantFrom(0, 1, 3, 20),
  wish: fc.constantFrom(...WISHES),
  isLost: often(false),
});

const sync = fc.record({
  does: fc.constant("sync" as const),
  user: device,
  asking,
  isBehind: often(false),
  meanwhile: fc.option(fc.record({ statement: fc.constantFrom(...STATEMENTS), device }), {
    nil: undefined,
    freq: 4,
  }),
});

const step = fc.oneof(
  { weight: 14, arbitrary: deed },
  { weight: 8, arbitrary: sync },
  { weight: 6, arbitrary: ofDevice("take") },
  { weight: 3, arbitrary: ofDevice("poll") },
  { weight: 3, arbitrary: ofDevice("store") },
  { weight: 1, arbitrary: fc.constantFrom("store room" as const, "lose" as const).chain(ofDevice) },
  { weight: 1, arbitrary: fc.constantFrom("stop" as const, "resume" as const).chain(ofDevice) },
  { weight: 1, arbitrary: ofDevice("fetch history") },
  { weight: 2, arbitrary: fc.record({ does: fc.constantFrom("ask" as const, "answer" as const) }) },
  { weight: 1, arbitrary: fc.record({ does: fc.constantFrom("restart intake" as const, "restart serving" as const) }) },
);

export const visibilityPlan: fc.Arbitrary<VisibilityPlan> = fc.record({
  hasStateAfter: fc.boolean(),
  timelineLimit: fc.constantFrom(1, 2, 5, 20),
  joinRule: fc.constantFrom("public", "public", "invite", "knock"),
  visibility: fc.constantFrom(...VISIBILITIES),
  areIn: fc.tuple(often(true), often(true)),
  areSynced: fc.tuple(often(true), often(true), often(true)),
  steps: fc.array(step, { minLength: 1, maxLength: 60, size: "max" }),
});

/** What was shown that must not be, and how much was looked at. */
export interface Seen {
  readonly violations: readonly string[];
  readonly looks: number;
}

/** Lets it all happen. No two runs in one database have the same number. */
export async function runVisibility(serving: Serving, number: number, plan: VisibilityPlan): Promise<Seen> {
  const world = await VisibilityWorld.start(serving, number, plan);
  await world.begin(plan);
  for (const each of plan.steps) await take(each, world);
  await world.caughtUp();
  for (let user = 0; user < USERS; user++) {
    for (const isNew of [false, true]) {
      await world.sync(user, { ...EVERYTHING, isNew });
    }
  }
  return { violations: [...world.streams.aside, ...world.violations], looks: world.looks };
}

async function take(step: Step, world: VisibilityWorld): Promise<void> {
  switch (step.does) {
    case "sync":
      if (!step.isBehind) await world.caughtUp();
      return void (await world.sync(step.user, step.asking, step.meanwhile));
    case "take":
      return await world.take(step.device);
    case "poll":
      return await world.poll(step.device);
    case "store":
      return await world.streams.store(step.device);
    case "store room":
      return await world.streams.storeRoom(step.device);
    case "lose":
      return world.streams.lose(step.device);
    case "stop":
      return world.stop(step.device);
    case "resume":
      return world.resume(step.device);
    case "fetch history":
      return await world.fetchHistory(step.device);
    case "ask":
      return await world.streams.ask();
    case "answer":
      return await world.streams.answer();
    case "restart intake":
      return await world.streams.restart();
    case "restart serving":
      return await world.restartServing();
    default:
      return void (await world.do(step));
  }
}
