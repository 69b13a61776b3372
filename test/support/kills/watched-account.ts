import type { Robot } from "../homeserver/robot.ts";
import { clientDifferences } from "./client-truth.ts";
import type { EncryptionClient } from "./encryption-client.ts";
import type { FollowingClient } from "./following-client.ts";
import { type Comparison, storedDifferences } from "./stored-truth.ts";
import { type Floors, readTruth, type Truth } from "./truth.ts";

interface WatchedComparison extends Comparison {
  readonly encryption?: EncryptionClient;
}

/** An account of which store and client are compared with the homeserver. */
export class WatchedAccount {
  readonly compared: Comparison;
  readonly client: FollowingClient;
  readonly encryption: EncryptionClient | undefined;
  readonly #owner: Robot;
  readonly #floors: Floors;
  #restarts = 0;

  /** `owner`: at a device that the product does not know. `floors`: what of each room was there before the start. */
  constructor(compared: WatchedComparison, owner: Robot, client: FollowingClient, floors: Floors) {
    this.compared = compared;
    this.client = client;
    this.encryption = compared.encryption;
    this.#owner = owner;
    this.#floors = floors;
  }

  truth(): Promise<Truth> {
    return readTruth(this.#owner, this.#floors);
  }

  /** Empty: everybody says the same. */
  async differences(truth: Truth): Promise<string[]> {
    const stored = await storedDifferences(truth, this.compared);
    const encryption = (await this.encryption?.differences(this.compared.traffic.sent)) ?? [];
    return [...stored, ...clientDifferences(truth, this.client), ...encryption];
  }

  /** How often its clients had to start anew since it was asked last. */
  newRestarts(): number {
    const before = this.#restarts;
    this.#restarts = this.client.restarts + (this.encryption?.restarts ?? 0);
    return this.#restarts - before;
  }
}
