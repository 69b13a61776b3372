import { pause } from "../../lib/pause.ts";
import type { DeviceNid } from "../../model/ids.ts";
import type { Database } from "../../store/database.ts";
import {
  type ClaimedDevice,
  claimDevices,
  DEVICES_CHANNEL,
  LEASE_SECONDS,
  refuseToken,
  releaseAll,
  releaseDevice,
  renewLeases,
} from "../../store/devices.ts";
import { ignoresSomebody } from "../ingest/personal-facts.ts";
import { Poller, type PollerDeps, type StopReason } from "./poller.ts";

/** Leases are renewed three times in their life, so that one lost renewal costs nothing. */
const RENEW_EVERY_MS = (LEASE_SECONDS * 1000) / 3;

/** Devices taken over in one statement at most; the rest follows with the next. */
const CLAIM_LIMIT = 500;

export interface PoolDeps {
  readonly db: Database;
  /** This process, by the key of its session lock. */
  readonly owner: number;
  readonly idleAfterMs: number;
  readonly openToken: (sealed: Buffer) => string;
  /** What a poller of this device gets; its own log fields for one. */
  readonly pollerDeps: (device: ClaimedDevice) => PollerDeps;
  readonly onRunning: (pollers: number) => void;
  readonly onStopped: (device: ClaimedDevice, reason: StopReason | Error) => void;
  /** A statement of the pool failed; it is repeated with the next turn. */
  readonly onError: (error: Error) => void;
}

interface Running {
  readonly device: ClaimedDevice;
  readonly poller: Poller;
  readonly stop: AbortController;
  readonly done: Promise<void>;
  tokenHash: Buffer;
}

/** The pollers of this process: those devices that are wanted and that no other living process polls. */
export class PollerPool {
  readonly #deps: PoolDeps;
  readonly #running = new Map<DeviceNid, Running>();
  /** Claims and renewals run one after the other, so that a device is not started twice. */
  #turn: Promise<void> = Promise.resolve();

  constructor(deps: PoolDeps) {
    this.#deps = deps;
  }

  /** Runs until `signal` aborts; then every poller has stopped and its device is free. */
  async run(signal: AbortSignal): Promise<void> {
    const listening = await this.#deps.db.listen(
      DEVICES_CHANNEL,
      (payload) => this.#wanted(Number(payload) as DeviceNid),
      () => void this.#enqueue(() => this.#claim(undefined)),
    );
    try {
      while (!signal.aborted) {
        await this.#enqueue(async () => {
          await this.#renew();
          await this.#claim(undefined);
        });
        await pause(RENEW_EVERY_MS, signal);
      }
    } finally {
      await listening[Symbol.asyncDispose]();
      await this.#turn;
      for (const { stop } of this.#running.values()) stop.abort();
      await Promise.all([...this.#running.values()].map(({ done }) => done));
      await releaseAll(this.#deps.db, this.#deps.owner).catch((error: Error) => this.#deps.onError(error));
    }
  }

  #wanted(device: DeviceNid): void {
    const isRunning = this.#running.has(device);
    void this.#enqueue(() => (isRunning ? this.#renew() : this.#claim(device)));
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn.then(work).catch((error: Error) => this.#deps.onError(error));
    return this.#turn;
  }

  async #claim(device: DeviceNid | undefined): Promise<void> {
    const { db, owner, idleAfterMs } = this.#deps;
    const claimed = await claimDevices(db, owner, { idleAfterMs, device, limit: CLAIM_LIMIT });
    for (const claim of claimed) this.#start(claim);
  }

  #start(device: ClaimedDevice): void {
    // A claim on a device that runs here comes after its lease had run out unnoticed: the old poller is fenced off already.
    this.#running.get(device.deviceNid)?.stop.abort();
    const stop = new AbortController();
    const ignores = device.ignoredUserList && ignoresSomebody(device.ignoredUserList);
    const token = this.#deps.openToken(device.sealedToken);
    const poller = new Poller(device, token, ignores, this.#deps.pollerDeps(device));
    const done = poller.run(stop.signal).then(
      (reason) => this.#ended(device, reason),
      (error: Error) => this.#ended(device, error),
    );
    this.#running.set(device.deviceNid, { device, poller, stop, done, tokenHash: device.tokenHash });
    this.#deps.onRunning(this.#running.size);
  }

  async #ended(device: ClaimedDevice, reason: StopReason | Error): Promise<void> {
    const running = this.#running.get(device.deviceNid);
    if (running?.device === device) this.#running.delete(device.deviceNid);
    this.#deps.onRunning(this.#running.size);
    this.#deps.onStopped(device, reason);
    try {
      if (reason === "token-refused")
        await refuseToken(this.#deps.db, device.deviceNid, running?.tokenHash ?? device.tokenHash);
      await releaseDevice(this.#deps.db, device);
    } catch (error) {
      this.#deps.onError(error as Error);
    }
  }

  /** Keeps what is ours, stops what is idle or lost, and passes new tokens on. */
  async #renew(): Promise<void> {
    const { db, owner, idleAfterMs } = this.#deps;
    const leases = new Map((await renewLeases(db, owner, idleAfterMs)).map((lease) => [lease.deviceNid, lease]));
    for (const [deviceNid, running] of this.#running) {
      const lease = leases.get(deviceNid);
      if (lease === undefined || lease.epoch !== running.device.epoch || lease.isIdle) {
        running.stop.abort();
      } else if (lease.sealedToken && lease.tokenHash && !lease.tokenHash.equals(running.tokenHash)) {
        running.tokenHash = lease.tokenHash;
        running.poller.useToken(this.#deps.openToken(lease.sealedToken));
      }
    }
  }
}
