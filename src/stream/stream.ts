import { Wait } from "../lib/wait.ts";
import type { DeviceNid, UserNid } from "../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";

/** Whom a change concerns, for those who wait. */
interface Moved {
  readonly position: StreamPosition;
  readonly users: ReadonlySet<UserNid>;
  /** Devices whose first sync, or catch-up after idleness, is stored. */
  readonly syncedDevices: ReadonlySet<DeviceNid>;
  /** Devices whose pollers were refused the token. */
  readonly refusedDevices: ReadonlySet<DeviceNid>;
}

/**
 * The current position of this process and who waits for it to move. Register, then read, then wait: what is published
 * between the read and the wait wakes the waiter that was registered before the read.
 */
export class Stream {
  #position: StreamPosition = BEFORE_ALL;
  #hasBegun = false;
  readonly #users = new Waiters<UserNid>();
  readonly #devices = new Waiters<DeviceNid>();
  readonly #refused = new Waiters<DeviceNid>();
  readonly #positions = new Set<{ readonly at: StreamPosition; readonly call: () => void }>();

  /** Everything at or below it is in the memory of this process. */
  get position(): StreamPosition {
    return this.#position;
  }

  isWaitedFor(user: UserNid): boolean {
    return this.#users.has(user);
  }

  /** Calls back whenever something may be news for the user, until it is disposed. */
  onMoved(user: UserNid, call: () => void): Disposable {
    return this.#users.add(user, call);
  }

  /** Calls back whenever the device's first sync, or its catch-up, was stored, until it is disposed. */
  onSynced(device: DeviceNid, call: () => void): Disposable {
    return this.#devices.add(device, call);
  }

  /** Calls back when the device's poller was refused the token, until it is disposed. */
  onRefused(device: DeviceNid, call: () => void): Disposable {
    return this.#refused.add(device, call);
  }

  /** Waits until memory is loaded and the position is at least `at`; false: it is not so after `limitMs`, or `signal` aborted. */
  async reached(at: StreamPosition, limitMs: number, signal: AbortSignal): Promise<boolean> {
    const isReached = () => this.#hasBegun && this.#position >= at;
    if (isReached()) return true;
    using wait = new Wait(limitMs, signal);
    const waiter = { at, call: wait.call };
    this.#positions.add(waiter);
    await wait.next();
    this.#positions.delete(waiter);
    return isReached();
  }

  advance({ position, users, syncedDevices, refusedDevices }: Moved): void {
    this.#hasBegun = true;
    this.#position = position;
    for (const { at, call } of this.#positions) if (at <= position) call();
    for (const device of syncedDevices) this.#devices.call(device);
    for (const device of refusedDevices) this.#refused.call(device);
    for (const user of users) this.wake(user);
  }

  /** Something may be news for the user that was published before. */
  wake(user: UserNid): void {
    this.#users.call(user);
  }
}

/** Calls by key. */
class Waiters<Key> {
  readonly #byKey = new Map<Key, Set<() => void>>();

  has(key: Key): boolean {
    return this.#byKey.has(key);
  }

  add(key: Key, call: () => void): Disposable {
    const calls = this.#byKey.get(key) ?? new Set();
    // The same function may wait twice.
    const own = () => call();
    this.#byKey.set(key, calls.add(own));
    return {
      [Symbol.dispose]: () => {
        calls.delete(own);
        if (calls.size === 0 && this.#byKey.get(key) === calls) this.#byKey.delete(key);
      },
    };
  }

  call(key: Key): void {
    for (const call of [...(this.#byKey.get(key) ?? [])]) call();
  }
}
