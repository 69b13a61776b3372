/** Bytes that are not what the writer wrote: damaged, cut off, or of another format. */
export class DamagedBytesError extends Error {
  override readonly name = "DamagedBytesError";
}

/** A capacity that holds what most answers write; it doubles when it is too small. */
const INITIAL_CAPACITY_BYTES = 512;

/** Writes whole numbers in as few bytes as they need, and texts. */
export class ByteWriter {
  #bytes = Buffer.allocUnsafe(INITIAL_CAPACITY_BYTES);
  #length = 0;

  /** @param value a safe integer, not negative. Seven bits a byte, lowest first. */
  number(value: number): void {
    this.#reserve(8);
    let rest = value;
    while (rest >= 0x80) {
      this.#bytes[this.#length++] = (rest % 0x80) + 0x80;
      rest = Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  text(value: string): void {
    const size = Buffer.byteLength(value);
    this.number(size);
    this.#reserve(size);
    this.#length += this.#bytes.write(value, this.#length, "utf8");
  }

  finish(): Buffer {
    return Buffer.from(this.#bytes.subarray(0, this.#length));
  }

  #reserve(size: number): void {
    const needed = this.#length + size;
    if (needed <= this.#bytes.length) return;
    const larger = Buffer.allocUnsafe(Math.max(needed, 2 * this.#bytes.length));
    this.#bytes.copy(larger, 0, 0, this.#length);
    this.#bytes = larger;
  }
}

/** Reads what a {@link ByteWriter} wrote. Every method throws {@link DamagedBytesError}. */
export class ByteReader {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  number(): number {
    let value = 0;
    for (let scale = 1; scale <= 2 ** 49; scale *= 0x80) {
      const byte = this.#next();
      value += (byte % 0x80) * scale;
      if (byte < 0x80) return this.#safe(value);
    }
    throw new DamagedBytesError(`a number at byte ${this.#at} is too long`);
  }

  text(): string {
    const size = this.number();
    const end = this.#at + size;
    if (end > this.#bytes.length) throw new DamagedBytesError(`a text at byte ${this.#at} is longer than the rest`);
    const text = this.#bytes.toString("utf8", this.#at, end);
    this.#at = end;
    return text;
  }

  /** Reads a number of items, then the items. */
  list<Item>(read: () => Item): Item[] {
    const count = this.number();
    if (count > this.#bytes.length - this.#at) throw new DamagedBytesError(`a list at byte ${this.#at} is too long`);
    return Array.from({ length: count }, read);
  }

  /** There must be nothing after what was read. */
  end(): void {
    if (this.#at !== this.#bytes.length) throw new DamagedBytesError(`bytes are left after byte ${this.#at}`);
  }

  #next(): number {
    const byte = this.#bytes[this.#at++];
    if (byte === undefined) throw new DamagedBytesError("the bytes end too early");
    return byte;
  }

  #safe(value: number): number {
    if (!Number.isSafeInteger(value)) throw new DamagedBytesError(`a number before byte ${this.#at} is too large`);
    return value;
  }
}
