// What is killed in a round, and when: all of it from one number.
import { createRandom, type Random } from "../homeserver/random.ts";
import { COMMIT_OF_MESSAGES, COMMIT_OF_NUMBERS, PHASES, type Phase } from "./database-relay.ts";
import { POINTS, type Point } from "./homeserver-relay.ts";

/**
 * The serving process, the intake process, both at once, the connection on which the step was seen, and the database: its
 * postmaster by SIGKILL, or all of it by an immediate shutdown.
 */
export const TARGETS = ["intake", "serving", "both", "connection", "postmaster", "immediate"] as const;
export type Target = (typeof TARGETS)[number];

/** A statement of the transaction that stores a response, or of a request; a poll; or a moment. */
export type Moment =
  | { readonly at: "statement"; readonly step: string; readonly phase: Phase; readonly nth: number }
  | { readonly at: "poll"; readonly point: Point; readonly nth: number }
  | { readonly at: "time"; readonly afterMs: number };

export interface RoundPlan {
  readonly seed: number;
  readonly target: Target;
  readonly moment: Moment;
  /** A response that is stored in parts comes first. */
  readonly isFlood: boolean;
  /** Somebody's first sync is under way. */
  readonly hasGuest: boolean;
  /** A client has a to-device token that was never issued here. */
  readonly isAhead: boolean;
  /** Of what happens on the homeserver. */
  readonly random: Random;
}

/** Statements of the serving process: it follows what is stored, and keeps where its clients stand. */
const SERVING_STEPS = ["select-changes", "use-connection", "insert-child", "confirm-and-insert"];

/** Of those which concern what only one device is told. */
const NUMBERING_STEPS = ["renumber-to-device", COMMIT_OF_NUMBERS];
const DEVICE_STEPS = [
  "select-to-device",
  "select-device-lists",
  "delete-to-device",
  "delete-to-device",
  ...NUMBERING_STEPS,
];
const DEVICE_SHARE = 0.15;
const AHEAD_SHARE = 0.1;

/** What decides is met more often than its share. */
const DECISIVE = [
  "COMMIT",
  COMMIT_OF_MESSAGES,
  COMMIT_OF_MESSAGES,
  "publish_changes",
  "advance-since",
  "append-to-device",
];
const DECISIVE_SHARE = 0.5;
const LATEST_MS = 300;

/** `steps`: those of storing a response. */
export function planRound(seed: number, steps: readonly string[], targets: readonly Target[] = TARGETS): RoundPlan {
  const random = createRandom(Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) ^ 0x297a2d39);
  const target = random.pick(targets);
  const any = momentOf(random, steps, target);
  const [isFlood, hasGuest] = [random.chance(0.15), random.chance(0.15)];
  const more = createRandom(Math.imul(seed, 0x9e3779b1));
  const moment = target !== "intake" && more.chance(DEVICE_SHARE) ? deviceMomentOf(more) : any;
  const isNumbering = moment.at === "statement" && NUMBERING_STEPS.includes(moment.step);
  return { seed, target, moment, isFlood, hasGuest, isAhead: isNumbering || more.chance(AHEAD_SHARE), random };
}

function momentOf(random: Random, steps: readonly string[], target: Target): Moment {
  const nth = 1 + random.below(2);
  const draw = random.unit();
  if (draw < 0.2) return { at: "poll", point: random.pick(POINTS), nth };
  // A connection has to be seen to be cut.
  if (draw < 0.3 && target !== "connection") return { at: "time", afterMs: random.below(LATEST_MS) };
  const isServed = target !== "intake" && draw > 0.8;
  const step = random.pick(isServed ? SERVING_STEPS : random.chance(DECISIVE_SHARE) ? DECISIVE : steps);
  return { at: "statement", step, phase: random.pick(PHASES), nth };
}

const deviceMomentOf = (random: Random): Moment => {
  const nth = 1 + random.below(2);
  return { at: "statement", step: random.pick(DEVICE_STEPS), phase: random.pick(PHASES), nth };
};

export const isOfServing = (step: string): boolean => SERVING_STEPS.includes(step) || DEVICE_STEPS.includes(step);

/** In one line. */
export function tellPlan({ seed, target, moment, isFlood, hasGuest, isAhead }: RoundPlan): string {
  const when =
    moment.at === "statement"
      ? `${moment.step} ${moment.phase}, time ${moment.nth}`
      : moment.at === "poll"
        ? `poll ${moment.point}, time ${moment.nth}`
        : `after ${moment.afterMs} ms`;
  const also = [isFlood && "long response", hasGuest && "first sync", isAhead && "token ahead"];
  return [`seed ${seed}: ${target} at ${when}`, ...also.filter((each) => each !== false)].join(", ");
}
