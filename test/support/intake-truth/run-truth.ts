import type { Database } from "../../../src/store/database.ts";
import { type Deed, Doers } from "./deeds.ts";
import { ModelHomeserver } from "./model-homeserver.ts";
import { ProductStreams } from "./product-streams.ts";
import { truthDifferences } from "./truth-differences.ts";

type OfDevice = "poll" | "store room" | "store" | "lose";
type OfAll = "ask" | "answer" | "restart";

export type TruthStep =
  | Deed
  | { [Does in OfDevice]: { readonly does: Does; readonly device: number } }[OfDevice]
  | { [Does in OfAll]: { readonly does: Does } }[OfAll];

export interface TruthPlan {
  readonly hasStateAfter: boolean;
  readonly timelineLimit: number;
  /** Devices of each user who uses the product; one more user does not. */
  readonly devices: readonly number[];
  readonly steps: readonly TruthStep[];
}

/** Lets it all happen, and tells in what the store differs from the homeserver in the end. No two runs have the same number. */
export async function runTruth(db: Database, number: number, plan: TruthPlan): Promise<string[]> {
  const homeserver = new ModelHomeserver(number, plan.hasStateAfter);
  const streams = new ProductStreams(db, homeserver, plan.timelineLimit);
  const doers = [];
  for (const [user, devices] of plan.devices.entries()) {
    for (let device = 0; device < devices; device++) {
      const session = homeserver.logIn(`case${number}user${user}`, `DEVICE${device}`);
      if (device === 0) doers.push(session);
      await streams.add(session);
    }
  }
  const users = doers.map(({ user }) => user);
  const deeds = new Doers(homeserver, [...doers, homeserver.logIn(`case${number}other`, "DEVICE")]);
  await deeds.do({ does: "create", by: 0, upon: 0, room: 0, value: 0 });
  for (const each of plan.steps) await take(each, streams, deeds);
  await streams.settle();
  return [...streams.aside, ...(await truthDifferences(db, homeserver.world, users))];
}

async function take(step: TruthStep, streams: ProductStreams, deeds: Doers): Promise<void> {
  if (step.does === "poll") await streams.poll(step.device);
  else if (step.does === "store room") await streams.storeRoom(step.device);
  else if (step.does === "store") await streams.store(step.device);
  else if (step.does === "lose") streams.lose(step.device);
  else if (step.does === "ask") await streams.ask();
  else if (step.does === "answer") await streams.answer();
  else if (step.does === "restart") await streams.restart();
  else await deeds.do(step);
}
