import type { DeviceNid, UserNid } from "../model/ids.ts";
import { BEFORE_ALL, type StreamPosition } from "../model/stream-position.ts";

/** Whom a change concerns, for those who wait. */
export interface Moved {
  readonly position: StreamPosition;
  readonly users: ReadonlySet<UserNid>;
  /** Devices whose first sync, or catch-up after idleness, is stored. */
  readonly syncedDevices: ReadonlySet<DeviceNid>;
}

/**
 * The current position of this process and who waits for it to move. Register, then read, then wait: what is published
 * between the read and the wait wakes the waiter that was registered before the read.
 */
export class Stream {
  #position: StreamPosition = BEFORE_ALL;
  readonly #users = new Waiters<UserNid>();
  readonly #devices = new Waiters<DeviceNid>();
  readonly #positions = new Set<{ readonly at: StreamPosition; readonly resolve: () => void }>();

  get position(): StreamPosition {
    return this.#position;
  }

  /** Users that somebody waits for. */
  get waitingUsers(): number {
    return this.#users.size;
  }

  /** Something may be news for the user. Resolves when `signal` aborts, too. */
  moved(user: UserNid, signal: AbortSignal): Promise<void> {
    return this.#users.wait(user, signal);
  }

  /** The device's first sync, or its catch-up, was stored. Resolves when `signal` aborts, too. */
  synced(device: DeviceNid, signal: AbortSignal): Promise<void> {
    return this.#devices.wait(device, signal);
  }

  /** The position is at least `at`. Resolves when `signal` aborts, too. */
  async reached(at: StreamPosition, signal: AbortSignal): Promise<void> {
    if (this.#position >= at || signal.aborted) return;
    await new Promise<void>((resolve) => {
      const waiter = { at, resolve };
      this.#positions.add(waiter);
      const giveUp = () => {
        this.#positions.delete(waiter);
        resolve();
      };
      signal.addEventListener("abort", giveUp, { once: true });
    });
  }

  advance({ position, users, syncedDevices }: Moved): void {
    this.#position = position;
    for (const waiter of this.#positions) {
      if (waiter.at > position) continue;
      this.#positions.delete(waiter);
      waiter.resolve();
    }
    for (const device of syncedDevices) this.#devices.wake(device);
    for (const user of users) this.#users.wake(user);
  }
}

/** Waiters by key; a wake-up ends all waits for its key. */
class Waiters<Key> {
  readonly #byKey = new Map<Key, Set<() => void>>();

  get size(): number {
    return this.#byKey.size;
  }

  async wait(key: Key, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return;
    await new Promise<void>((resolve) => {
      const waiters = this.#byKey.get(key) ?? new Set();
      this.#byKey.set(key, waiters);
      const end = () => {
        signal.removeEventListener("abort", end);
        waiters.delete(end);
        if (waiters.size === 0 && this.#byKey.get(key) === waiters) this.#byKey.delete(key);
        resolve();
      };
      waiters.add(end);
      signal.addEventListener("abort", end, { once: true });
    });
  }

  wake(key: Key): void {
    for (const end of [...(this.#byKey.get(key) ?? [])]) end();
  }
}
