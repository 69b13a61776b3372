import { LRUCache } from "lru-cache";
import type { Clock } from "../lib/clock.ts";
import { Wait } from "../lib/wait.ts";
import type { CallingDevice } from "../model/calling-device.ts";
import type { DeviceNid, UserNid } from "../model/ids.ts";
import { UnavailableError } from "../model/unavailable-error.ts";
import { selectHead } from "../store/changes.ts";
import type { Database } from "../store/database.ts";
import { DEVICES_CHANNEL, type DeviceStanding, type SeenDevice, seeDevice } from "../store/devices.ts";
import { hasAnswer } from "../store/first-window.ts";
import type { Stream } from "../stream/stream.ts";

/**
 * How long a device is taken to be polled without looking again. Longer: a poller that died is noticed later, and a device
 * that goes on using Slidecar is noted less often. Shorter: a write per request.
 */
const MAX_SEEN_STEP_MS = 10_000;

/** A device is noted so many times while it would go on to be polled without. */
const SEEN_STEPS = 3;

/**
 * How long a request is held at most while there is no room to show. Longer: of a client that nobody tells that it has gone,
 * a request stays. Shorter: an account looks empty while its first sync takes the homeserver long.
 */
const MAX_HOLD_MS = 10 * 60_000;

/** When a device that is not taken in may ask again. Longer: it begins late when devices are taken in again. Shorter: more requests. */
const DRAINING_RETRY_MS = 30_000;

/** Devices remembered. */
const MAX_KNOWN = 50_000;

interface TokenVault {
  encryptToken(token: string): Buffer;
}

interface DevicesOptions {
  /** How long a request of a device with no data at all waits for its first sync. */
  readonly initialWaitMs: number;
  /** How long a request of a device that was idle waits for its catch-up. */
  readonly catchUpWaitMs: number;
  /** How long a device is polled after it was last noted. */
  readonly idleAfterMs: number;
}

export interface KnownDevice {
  readonly userNid: UserNid;
  readonly deviceNid: DeviceNid;
}

interface Remembered extends DeviceStanding {
  readonly tokenHash: Buffer;
  readonly seenMs: number;
}

/** Sees to it that the device of a request is polled, and that its data is there. */
export class Devices {
  readonly #db: Database;
  readonly #stream: Stream;
  readonly #vault: TokenVault;
  readonly #clock: Clock;
  readonly #options: DevicesOptions;
  readonly #seenStepMs: number;
  readonly #known = new LRUCache<string, Remembered>({ max: MAX_KNOWN });

  constructor(deps: { db: Database; stream: Stream; vault: TokenVault; clock: Clock }, options: DevicesOptions) {
    this.#db = deps.db;
    this.#stream = deps.stream;
    this.#vault = deps.vault;
    this.#clock = deps.clock;
    this.#options = options;
    this.#seenStepMs = Math.min(MAX_SEEN_STEP_MS, options.idleAfterMs / SEEN_STEPS);
  }

  /**
   * Notes the device and starts its poller where none runs. Waits for the data of its first sync, or of its catch-up, as
   * long as configured and no longer than the request wants to wait; for a first sync only with a request that begins.
   */
  async ensure(
    device: CallingDevice,
    { timeoutMs, isBeginning }: { readonly timeoutMs: number; readonly isBeginning: boolean },
    signal: AbortSignal,
  ): Promise<KnownDevice> {
    const key = `${device.userId}\0${device.deviceId}`;
    const { tokenHash } = device;
    const known = this.#known.get(key);
    const nowMs = this.#clock.nowMs();
    const isFresh = known?.hasData && known.isPolled && nowMs - known.seenMs < this.#seenStepMs;
    if (known !== undefined && isFresh && known.tokenHash.equals(tokenHash)) return known;
    const seen = {
      userId: device.userId,
      deviceId: device.deviceId,
      sealToken: () => this.#vault.encryptToken(device.token),
      tokenHash,
      forwardedFor: device.forwarded.xForwardedFor,
      userAgent: device.forwarded.userAgent,
    };
    const standing = await seeDevice(this.#db, seen);
    if (standing.isDraining) return this.#undisturbed(key, standing, tokenHash);
    const hasNewToken = known !== undefined && !known.tokenHash.equals(tokenHash);
    // What a request goes on from was there, or it goes on from nothing.
    const isWaitedFor = standing.hasData ? !standing.isPolled : isBeginning;
    if (isWaitedFor) await this.#wait(seen, standing, timeoutMs, signal);
    else if (hasNewToken || !standing.isPolled) await this.#announce(standing);
    // A catch-up that has just ended may not be in this process's memory yet.
    else await this.#stream.reached(standing.head, this.#options.catchUpWaitMs, signal);
    // Whether the wait brought the data is looked up again with the next request.
    this.#known.set(key, { ...standing, tokenHash, seenMs: nowMs });
    return standing;
  }

  /** Nothing more will come: what is stored is the answer. Whether devices are polled again is looked up after a while. */
  #undisturbed(key: string, standing: DeviceStanding, tokenHash: Buffer): KnownDevice {
    if (!standing.hasData) throw new UnavailableError("This server takes in no more devices", DRAINING_RETRY_MS);
    this.#known.set(key, { ...standing, isPolled: true, tokenHash, seenMs: this.#clock.nowMs() });
    return standing;
  }

  /** Register, then look, then wait: a first sync, or a catch-up, that ends between two of these is not missed. */
  async #wait(seen: SeenDevice, standing: DeviceStanding, timeoutMs: number, signal: AbortSignal): Promise<void> {
    const { initialWaitMs, catchUpWaitMs } = this.#options;
    const wantedMs = timeoutMs > 0 ? timeoutMs : Number.POSITIVE_INFINITY;
    const waitMs = standing.hasData ? Math.min(catchUpWaitMs, wantedMs) : Math.min(initialWaitMs, wantedMs + 2_000);
    using wait = new Wait(waitMs, signal);
    using _synced = this.#stream.onSynced(standing.deviceNid, wait.call);
    await this.#announce(standing);
    const now = await seeDevice(this.#db, seen);
    if (standing.hasData ? now.isPolled : now.hasData) {
      await this.#stream.reached(now.head, waitMs, signal);
      return;
    }
    await wait.next();
    if (!standing.hasData && !wait.isCalled) await this.#untilRoom(standing, signal);
  }

  /** An empty answer would show an account without rooms, so that the request is held until there is one. */
  async #untilRoom(standing: DeviceStanding, signal: AbortSignal): Promise<void> {
    using wait = new Wait(MAX_HOLD_MS, signal);
    using _moved = this.#stream.onMoved(standing.userNid, wait.call);
    using _synced = this.#stream.onSynced(standing.deviceNid, wait.call);
    while (!wait.isOver) {
      wait.rearm();
      if (await hasAnswer(this.#db, standing)) {
        await this.#stream.reached(await selectHead(this.#db), MAX_HOLD_MS, signal);
        return;
      }
      await wait.next();
    }
  }

  /** Says that the device wants to be polled, or that its poller needs the new token. */
  async #announce({ deviceNid }: DeviceStanding): Promise<void> {
    await this.#db.notify(DEVICES_CHANNEL, String(deviceNid));
  }
}
