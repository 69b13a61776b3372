import { errorOf } from "../../lib/error-of.ts";
import { pause } from "../../lib/pause.ts";
import type { DeviceNid } from "../../model/ids.ts";
import { ignoredBy } from "../../model/ignored-users.ts";
import type { Database } from "../../store/database.ts";
import {
  type ClaimedDevice,
  claimDevices,
  DEVICES_CHANNEL,
  LEASE_SECONDS,
  type RenewedLease,
  refuseToken,
  releaseAll,
  releaseDevice,
  renewLeases,
} from "../../store/devices.ts";
import { STREAM_CHANNEL } from "../../store/publish.ts";
import type { Sibling } from "./further-device.ts";
import { Poller, type PollerEnd } from "./poller.ts";
import type { PollerDeps } from "./poller-deps.ts";

/** Leases are renewed three times in their life, so that one lost renewal costs nothing. */
const RENEW_EVERY_MS = (LEASE_SECONDS * 1000) / 3;

/** Devices taken over in one turn at most; the rest follows with the next. More: who asks for a device meanwhile waits longer. */
const CLAIM_LIMIT = 500;

export interface PoolDeps {
  readonly db: Database;
  /** This process, by the key of its session lock. */
  readonly owner: number;
  readonly idleAfterMs: number;
  /** Throws when the token was sealed with a secret that is not known. */
  readonly openToken: (sealed: Buffer) => string;
  /** What a poller of this device gets; its own log fields for one. `isAskedFor`: a client of it is here. */
  readonly pollerDeps: (device: ClaimedDevice, isAskedFor: boolean) => Omit<PollerDeps, "sibling">;
  readonly onRunning: (pollers: number) => void;
  readonly onStopped: (device: ClaimedDevice, reason: PollerEnd["reason"] | Error) => void;
  /** A statement of the pool failed; it is repeated with the next turn. */
  readonly onError: (error: Error) => void;
}

interface Running {
  readonly device: ClaimedDevice;
  readonly poller: Poller;
  readonly stop: AbortController;
}

/** The pollers of this process: those devices that are wanted and that no other living process polls. */
export class PollerPool {
  readonly #deps: PoolDeps;
  readonly #running = new Map<DeviceNid, Running>();
  /** Pollers until their devices are given back. */
  readonly #pending = new Set<Promise<void>>();
  /** Claims and renewals run one after the other, so that a device is not started twice. */
  #turn: Promise<void> = Promise.resolve();
  #isStopping = false;

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
          await this.#renew(undefined);
          await this.#claim(undefined);
        });
        await pause(RENEW_EVERY_MS, signal);
      }
    } finally {
      this.#isStopping = true;
      await listening[Symbol.asyncDispose]();
      await this.#turn;
      for (const { stop } of this.#running.values()) stop.abort();
      await Promise.all(this.#pending);
      await releaseAll(this.#deps.db, this.#deps.owner).catch((error: Error) => this.#deps.onError(error));
    }
  }

  /** A client of the device is here: with a new token perhaps, or to find it without a poller. */
  #wanted(device: DeviceNid): void {
    if (!Number.isSafeInteger(device)) return;
    void this.#enqueue(() => (this.#running.has(device) ? this.#renew(device) : this.#claim(device)));
  }

  #enqueue(work: () => Promise<void>): Promise<void> {
    this.#turn = this.#turn
      .then(() => (this.#isStopping ? undefined : work()))
      .catch((error: Error) => this.#deps.onError(error));
    return this.#turn;
  }

  async #claim(device: DeviceNid | undefined): Promise<void> {
    const { db, owner, idleAfterMs } = this.#deps;
    const claims = await claimDevices(db, owner, { idleAfterMs, device, limit: CLAIM_LIMIT });
    // In a turn of its own, so that whoever asks for a device meanwhile comes before the rest.
    if (claims.length === CLAIM_LIMIT) void this.#enqueue(() => this.#claim(undefined));
    for (const claim of claims) {
      const text = this.#open(claim.sealedToken);
      if (text instanceof Error) await this.#giveBack(claim, text);
      else this.#start(claim, text, device !== undefined);
    }
  }

  #open(sealed: Buffer): string | Error {
    try {
      return this.#deps.openToken(sealed);
    } catch (error) {
      return errorOf(error);
    }
  }

  /** A token that nobody can read is worth nothing; the device's client brings it again. */
  async #giveBack(device: ClaimedDevice, error: Error): Promise<void> {
    this.#deps.onStopped(device, error);
    await this.#refuse(device, device.tokenHash);
    await releaseDevice(this.#deps.db, device);
  }

  #start(device: ClaimedDevice, text: string, isAskedFor: boolean): void {
    // A claim on a device that runs here comes after its lease had run out unnoticed: the old poller is fenced off already.
    this.#running.get(device.deviceNid)?.stop.abort();
    const stop = new AbortController();
    const ignored = device.ignoredUserList && ignoredBy(device.ignoredUserList);
    const poller = new Poller(device, { text, hash: device.tokenHash }, ignored, {
      ...this.#deps.pollerDeps(device, isAskedFor),
      sibling: () => this.#siblingOf(device),
    });
    this.#running.set(device.deviceNid, { device, poller, stop });
    this.#deps.onRunning(this.#running.size);
    const done = poller
      .run(stop.signal)
      .catch((error: Error) => error)
      .then((end) => this.#ended(device, end))
      .catch((error: Error) => this.#deps.onError(error));
    this.#pending.add(done);
    void done.finally(() => this.#pending.delete(done));
  }

  #siblingOf({ userNid, deviceNid }: ClaimedDevice): Sibling | undefined {
    const ofUser = [...this.#running.values()].filter(({ device }) => device.userNid === userNid);
    return ofUser.find(({ device, poller }) => device.deviceNid !== deviceNid && poller.hasBegun)?.poller;
  }

  async #ended(device: ClaimedDevice, end: PollerEnd | Error): Promise<void> {
    const { db, onRunning, onStopped } = this.#deps;
    if (this.#running.get(device.deviceNid)?.device === device) this.#running.delete(device.deviceNid);
    onRunning(this.#running.size);
    onStopped(device, end instanceof Error ? end : end.reason);
    const isRefused = !(end instanceof Error) && end.reason === "token-refused";
    if (isRefused) await this.#refuse(device, end.token.hash);
    await releaseDevice(db, device);
    // It may be ours again: its stream had gone on with a commit whose success was not heard of, or it has another token.
    if (isRefused || (!(end instanceof Error) && end.reason === "lost-claim")) this.#wanted(device.deviceNid);
  }

  /** Those who serve the device's client are told: it waits for what nobody brings. */
  async #refuse(device: ClaimedDevice, tokenHash: Buffer): Promise<void> {
    const { db } = this.#deps;
    const position = await refuseToken(db, device, tokenHash);
    if (position !== undefined) await db.notify(STREAM_CHANNEL, String(position));
  }

  /** Keeps what is ours, stops what is idle or lost, and passes new tokens on: of one device, or of all. */
  async #renew(device: DeviceNid | undefined): Promise<void> {
    const { db, owner, idleAfterMs } = this.#deps;
    const renewed = await renewLeases(db, owner, { idleAfterMs, device });
    const leases = new Map(renewed.map((lease) => [lease.deviceNid, lease]));
    for (const [deviceNid, running] of this.#running) {
      if (device !== undefined && deviceNid !== device) continue;
      const lease = leases.get(deviceNid);
      if (lease === undefined || lease.epoch !== running.device.epoch || lease.isIdle) running.stop.abort();
      else this.#passOn(lease, running.poller);
    }
    // A claim whose answer was lost has no poller: without this it would be renewed for ever.
    for (const lease of renewed) if (!this.#running.has(lease.deviceNid)) await releaseDevice(db, lease);
  }

  #passOn({ sealedToken, tokenHash }: RenewedLease, poller: Poller): void {
    if (sealedToken === undefined || tokenHash === undefined || tokenHash.equals(poller.token.hash)) return;
    const text = this.#open(sealedToken);
    if (text instanceof Error) this.#deps.onError(text);
    else poller.useToken({ text, hash: tokenHash });
  }
}
