import { ByteCache } from "../lib/byte-cache.ts";

/** A read under way. */
interface Load {
  /** Something of it changed since it began. */
  isOvertaken: boolean;
}

interface KeptReadsOptions<Key, Value> {
  readonly maxBytes: number;
  /** Reads all of these. */
  readonly read: (keys: readonly Key[]) => Promise<ReadonlyMap<Key, Value>>;
}

/**
 * What is read whole, by key, within a budget in bytes. A read model: {@link load} reads it, {@link prepare} reads again what
 * changed.
 */
export class KeptReads<Key, Value extends { readonly bytes: number }> {
  readonly #read: KeptReadsOptions<Key, Value>["read"];
  readonly #kept: ByteCache<Key, Value>;
  readonly #loading = new Map<Key, { readonly load: Load; readonly done: Promise<ReadonlyMap<Key, Value>> }>();

  constructor({ maxBytes, read }: KeptReadsOptions<Key, Value>) {
    this.#read = read;
    this.#kept = new ByteCache({ maxBytes });
  }

  /** undefined: it is not in memory. */
  get(key: Key): Value | undefined {
    return this.#kept.get(key);
  }

  /** Reads what is not in memory, or waits for who reads it. Returns what was read, whether it stays or not. */
  async load(keys: Iterable<Key>): Promise<ReadonlyMap<Key, Value>> {
    const missing = [...keys].filter((key) => this.get(key) === undefined);
    const running = missing.flatMap((key) => this.#loading.get(key)?.done ?? []);
    const unread = missing.filter((key) => !this.#loading.has(key));
    const read = await Promise.all([...running, this.#load(unread)]);
    return new Map(read.flatMap((each) => [...each]));
  }

  /** Reads what is in memory again of these, which changed. The result takes it in, in one step. */
  async prepare(changed: Iterable<Key>): Promise<() => void> {
    const stale = new Set<Key>();
    for (const key of changed) {
      const running = this.#loading.get(key);
      if (running !== undefined) running.load.isOvertaken = true;
      if (this.#kept.peek(key) !== undefined) stale.add(key);
    }
    const read = await this.#readAll([...stale]);
    return () => {
      for (const [key, value] of read) if (this.#kept.peek(key) !== undefined) this.#kept.set(key, value);
    };
  }

  async #load(keys: readonly Key[]): Promise<ReadonlyMap<Key, Value>> {
    if (keys.length === 0) return new Map();
    const load = { isOvertaken: false };
    const done = this.#readUntilSettled(keys, load);
    for (const key of keys) this.#loading.set(key, { load, done });
    try {
      return await done;
    } finally {
      for (const key of keys) this.#loading.delete(key);
    }
  }

  /** A change that comes while something is read may be missing from it, so it is read again until none did. */
  async #readUntilSettled(keys: readonly Key[], load: Load): Promise<ReadonlyMap<Key, Value>> {
    for (;;) {
      const read = await this.#readAll(keys);
      if (!load.isOvertaken) {
        for (const [key, value] of read) this.#kept.set(key, value);
        return read;
      }
      load.isOvertaken = false;
    }
  }

  async #readAll(keys: readonly Key[]): Promise<ReadonlyMap<Key, Value>> {
    return keys.length === 0 ? new Map() : await this.#read(keys);
  }
}
