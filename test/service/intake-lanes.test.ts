import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, beforeEach, expect, test } from "@jest/globals";
import type { Database } from "../../src/store/database.ts";
import { openTestDatabase } from "../support/database.ts";
import { IntakeStage, type StageDevice } from "../support/intake-stage.ts";
import { until } from "../support/until.ts";
import { ALICE, BOB, create, inRoom, member, message } from "../support/v2-events.ts";

let stage: IntakeStage;
let alice: StageDevice;
let bob: StageDevice;
/** What the writer's transactions did, in order. */
let steps: string[] = [];
/** When bulk transactions began and ended, in milliseconds. */
let bulk: { readonly beganMs: number; readonly endedMs: number }[] = [];
/** Live transactions wait for it. */
let gate = Promise.withResolvers<void>();
/** What a bulk transaction takes at least. */
let bulkMs = 0;
let made = 0;

beforeAll(async () => {
  const db = await openTestDatabase();
  const write: Database["write"] = async (work, options) => {
    steps.push(`${options?.lane} begins`);
    if (options?.lane === "live") await gate.promise;
    const beganMs = performance.now();
    if (options?.lane === "bulk") await sleep(bulkMs);
    const result = await db.write(work, options);
    steps.push(`${options?.lane} ends`);
    if (options?.lane === "bulk") bulk.push({ beganMs, endedMs: performance.now() });
    return result;
  };
  stage = new IntakeStage({ ...db, write });
  gate.resolve();
  [alice, bob] = [await stage.device(ALICE), await stage.device(BOB)];
  for (const device of [alice, bob]) await stage.respond(device, {});
});
afterAll(() => stage[Symbol.asyncDispose]());

beforeEach(() => {
  made += 1;
  steps = [];
  bulk = [];
  bulkMs = 0;
  gate = Promise.withResolvers<void>();
});

const room = (...more: readonly object[]) => ({
  rooms: {
    join: {
      [`!${made}.${more.length}:test`]: inRoom([
        create(`$create${made}.${more.length}`),
        member(`$in${made}.${more.length}`, ALICE, "join"),
        ...(more as never[]),
      ]),
    },
  },
});
const long = (count = 1_100) => room(...Array.from({ length: count }, (_, n) => message(`$fill${made}.${n}`)));

test("a part of a long response begins when no live one is under way", async () => {
  const live = stage.respond(alice, room());
  await until(() => steps.includes("live begins"));
  const whole = stage.respond(bob, long());
  gate.resolve();
  await Promise.all([live, whole]);
  expect(steps.slice(0, 3)).toEqual(["live begins", "live ends", "bulk begins"]);
});

test("a part of a long response does not wait for ever", async () => {
  const live = stage.respond(alice, room());
  await until(() => steps.includes("live begins"));
  const whole = stage.respond(bob, long());
  await until(() => steps.includes("bulk ends"));
  gate.resolve();
  await Promise.all([live, whole]);
  expect(steps.slice(0, 3)).toEqual(["live begins", "bulk begins", "bulk ends"]);
});

test("parts of a long response leave time to live ones, at least half of what they take", async () => {
  gate.resolve();
  bulkMs = 100;
  await stage.respond(alice, room());
  const join = Object.assign({}, ...[1_100, 1_101, 1_102].map((count) => long(count).rooms.join));
  await stage.respond(bob, { rooms: { join } }, { pieceBytes: 10_000 });
  const pauses = bulk.slice(1).map(({ beganMs }, index) => {
    const before = bulk[index]!;
    return (beganMs - before.endedMs) / (before.endedMs - before.beganMs);
  });
  expect(pauses.length).toBeGreaterThan(0);
  // Timers may ring a millisecond early.
  expect(Math.min(...pauses)).toBeGreaterThan(0.4);
});
