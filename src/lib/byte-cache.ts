/** Something that knows what it weighs in memory. */
interface Weighed {
  readonly bytes: number;
}

interface Entry<Value> {
  readonly value: Value;
  /** As it was counted. */
  bytes: number;
}

export interface ByteCacheOptions<Key, Value> {
  readonly maxBytes: number;
  /** What is in use stays, whatever the budget. */
  readonly isInUse?: (key: Key) => boolean;
  /** A value was dropped to make room. */
  readonly onDrop?: (key: Key, value: Value) => void;
}

/**
 * Entries in use that are passed over while one is looked for that can go. More: one call takes longer when almost all are
 * in use. Fewer: the budget is overdrawn longer.
 */
const MAX_PASSED_OVER = 100;

/** Values by key within a budget of bytes; those that were not asked for longest go first. */
export class ByteCache<Key, Value extends Weighed> {
  /** Least recently used first. */
  readonly #entries = new Map<Key, Entry<Value>>();
  readonly #options: ByteCacheOptions<Key, Value>;
  #bytes = 0;

  constructor(options: ByteCacheOptions<Key, Value>) {
    this.#options = options;
  }

  get size(): number {
    return this.#entries.size;
  }

  get bytes(): number {
    return this.#bytes;
  }

  /** Counts as use. */
  get(key: Key): Value | undefined {
    const entry = this.#entries.get(key);
    if (entry !== undefined) this.#touch(key, entry);
    return entry?.value;
  }

  /** Does not count as use. */
  peek(key: Key): Value | undefined {
    return this.#entries.get(key)?.value;
  }

  /** A value that alone is over the budget is dropped at once, rather than all the others. */
  set(key: Key, value: Value): void {
    this.delete(key);
    const entry = { value, bytes: value.bytes };
    const { maxBytes, isInUse, onDrop } = this.#options;
    if (entry.bytes > maxBytes && !isInUse?.(key)) {
      onDrop?.(key, value);
    } else {
      this.#entries.set(key, entry);
      this.#bytes += entry.bytes;
    }
    this.#makeRoom();
  }

  /** To be called when what a value weighs may have changed. */
  reweigh(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#bytes += entry.value.bytes - entry.bytes;
    entry.bytes = entry.value.bytes;
    this.#makeRoom();
  }

  delete(key: Key): void {
    const entry = this.#entries.get(key);
    if (entry === undefined) return;
    this.#entries.delete(key);
    this.#bytes -= entry.bytes;
  }

  clear(): void {
    this.#entries.clear();
    this.#bytes = 0;
  }

  #touch(key: Key, entry: Entry<Value>): void {
    this.#entries.delete(key);
    this.#entries.set(key, entry);
  }

  #makeRoom(): void {
    const { maxBytes, isInUse, onDrop } = this.#options;
    let passedOver = 0;
    // The walk sees entries that are moved behind it again: the count ends it.
    for (const [key, entry] of this.#entries) {
      if (this.#bytes <= maxBytes) return;
      if (isInUse?.(key)) {
        this.#touch(key, entry);
        passedOver += 1;
        if (passedOver > Math.min(MAX_PASSED_OVER, this.#entries.size)) return;
        continue;
      }
      this.delete(key);
      onDrop?.(key, entry.value);
    }
  }
}
