import type { Robot } from "../homeserver/robot.ts";
import { clientDifferences } from "./client-truth.ts";
import type { FollowingClient } from "./following-client.ts";
import { type Comparison, storedDifferences } from "./stored-truth.ts";
import { type Floors, readTruth, type Truth } from "./truth.ts";

/** An account of which store and client are compared with the homeserver. */
export class WatchedAccount {
  readonly compared: Comparison;
  readonly client: FollowingClient;
  readonly #owner: Robot;
  readonly #floors: Floors;
  #restarts = 0;

  /** `owner`: at a device that the product does not know. `floors`: what of each room was there before the start. */
  constructor(compared: Comparison, owner: Robot, client: FollowingClient, floors: Floors) {
    this.compared = compared;
    this.client = client;
    this.#owner = owner;
    this.#floors = floors;
  }

  truth(): Promise<Truth> {
    return readTruth(this.#owner, this.#floors);
  }

  /** Empty: everybody says the same. */
  async differences(truth: Truth): Promise<string[]> {
    const stored = await storedDifferences(truth, this.compared);
    return [...stored, ...clientDifferences(truth, this.client)];
  }

  /** How often the client had to start anew since it was asked last. */
  newRestarts(): number {
    const before = this.#restarts;
    this.#restarts = this.client.restarts;
    return this.#restarts - before;
  }
}
