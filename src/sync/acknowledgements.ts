import { LRUCache } from "lru-cache";
import type { SyncRequest } from "../engine/request.ts";
import { type Clock, microseconds } from "../lib/clock.ts";
import type { Logger } from "../logging/logger.ts";
import type { DeviceName } from "../model/calling-device.ts";
import type { DeviceNid } from "../model/ids.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import {
  deleteToDevice,
  listsKeptFrom,
  noteListsTold,
  renumberToDevice,
  selectListsFloor,
} from "../store/acknowledged.ts";
import { selectHead } from "../store/changes.ts";
import type { Database } from "../store/database.ts";
import type { OnlineDevices } from "../store/online-devices.ts";
import type { Stream } from "../stream/stream.ts";
import type { KnownDevice } from "./devices.ts";

/** Devices of which is remembered what they acknowledged last. */
const MAX_KNOWN = 50_000;

/** How often it is noted what a client has of device lists. Longer: they are logged longer. Shorter: more writes. */
const LISTS_STEP_US = 3_600_000_000;

/** Sequences are times. One so far ahead of the clock was never issued, by no installation. */
const MAX_AHEAD_US = 3_600_000_000;

/** Clocks of processes and of the database may differ by so much. */
const EXPIRY_MARGIN_US = 24 * 3_600_000_000;

const CATCH_UP_MS = 5_000;

interface AcknowledgementsDeps {
  readonly db: Database;
  readonly devices: OnlineDevices;
  readonly stream: Stream;
  readonly clock: Clock;
  readonly log: Logger;
}

interface AcknowledgingCall {
  readonly device: DeviceName;
  readonly request: SyncRequest;
  readonly signal: AbortSignal;
}

/** What clients say that they have, by the tokens that they send: only then it may go. */
export class Acknowledgements {
  readonly #deps: AcknowledgementsDeps;
  /** The same again needs no write. */
  readonly #toDevice = new LRUCache<DeviceNid, number>({ max: MAX_KNOWN });
  readonly #lists = new LRUCache<DeviceNid, StreamPosition>({ max: MAX_KNOWN });

  constructor(deps: AcknowledgementsDeps) {
    this.#deps = deps;
  }

  /**
   * To be called before the answer is computed. `from`: what the client has been told up to. False: what it lacks of device
   * lists is no longer logged, so that it has to begin anew.
   */
  async take(known: KnownDevice, call: AcknowledgingCall, from: StreamPosition | undefined): Promise<boolean> {
    const { toDevice, e2ee } = call.request.extensions;
    if (toDevice?.since !== undefined) await this.#takeToDevice(known, call, toDevice.since);
    if (e2ee === undefined || from === undefined) return true;
    if (await this.#isExpired(known, from)) return false;
    if (from - (this.#lists.get(known.deviceNid) ?? 0) < LISTS_STEP_US) return true;
    await noteListsTold(this.#deps.db, known.deviceNid, from);
    this.#lists.set(known.deviceNid, from);
    return true;
  }

  /** Only what is about to expire needs a look. */
  async #isExpired({ deviceNid }: KnownDevice, from: StreamPosition): Promise<boolean> {
    const { db, clock } = this.#deps;
    if (from > listsKeptFrom(clock) + EXPIRY_MARGIN_US) return false;
    return (await selectListsFloor(db, deviceNid)) > from;
  }

  async #takeToDevice(known: KnownDevice, call: AcknowledgingCall, since: number): Promise<void> {
    const { db, clock } = this.#deps;
    const { deviceNid } = known;
    if (since <= (this.#toDevice.get(deviceNid) ?? 0) || since > microseconds(clock) + MAX_AHEAD_US) return;
    if (since > (await this.#head(known, since, call.signal))) {
      await this.#moveAbove(known, call, since);
      return;
    }
    const hole = await deleteToDevice(db, deviceNid, since);
    if (hole !== undefined) this.#warn(call, hole.after, hole.before);
    this.#toDevice.set(deviceNid, since);
  }

  /** The highest sequence that was issued to the device. Another process may have issued one that this one learns of late. */
  async #head({ deviceNid }: KnownDevice, since: number, signal: AbortSignal): Promise<number> {
    const { db, devices, stream } = this.#deps;
    const known = await devices.get(deviceNid);
    if (since <= known.toDeviceHead) return known.toDeviceHead;
    await stream.reached(await selectHead(db), CATCH_UP_MS, signal);
    return (await devices.get(deviceNid)).toDeviceHead;
  }

  async #moveAbove(known: KnownDevice, call: AcknowledgingCall, since: number): Promise<void> {
    const { db, stream, clock } = this.#deps;
    const before = await renumberToDevice(db, known, since);
    if (before === undefined) return;
    await stream.reached(await selectHead(db), CATCH_UP_MS, call.signal);
    this.#warn(call, before, microseconds(clock));
  }

  /** What the device has not got of them cannot be known. */
  #warn({ device: { userId, deviceId } }: AcknowledgingCall, after: number, before: number): void {
    const gone = { user: userId, device: deviceId, from: timeOf(after), to: timeOf(before) };
    this.#deps.log.warn(
      gone,
      "the database is older than what a device has: its to-device messages of that time are gone",
    );
  }
}

const timeOf = (sequence: number): string => new Date(sequence / 1_000).toISOString();
