/**
 * Stored bytes from this length on are spliced into the answer as they are; shorter ones are copied next to their
 * neighbours. Larger: more copying. Smaller: answers of thousands of tiny pieces, each of which costs more to write to a
 * socket than to copy.
 */
const SPLICED_FROM_BYTES = 4096;

/** What small pieces are joined into. Larger: an answer of one room wastes memory. Smaller: more pieces. */
const JOINED_BYTES = 16 * 1024;

/** Joins text and stored bytes to an answer of few pieces. */
export class PieceWriter {
  readonly #pieces: Buffer[] = [];
  /** Text that waits for the next bytes: writing it at once is cheaper than word by word. */
  #text = "";
  #joined = Buffer.alloc(0);
  #from = 0;
  #length = 0;

  text(value: string): void {
    this.#text += value;
  }

  /** @param value is kept, and must not change any more. */
  bytes(value: Buffer): void {
    this.#flushText();
    if (value.length >= SPLICED_FROM_BYTES) {
      this.#closePiece();
      this.#pieces.push(value);
      return;
    }
    this.#reserve(value.length);
    this.#length += value.copy(this.#joined, this.#length);
  }

  /** The whole answer, in order. */
  finish(): readonly Buffer[] {
    this.#flushText();
    this.#closePiece();
    return this.#pieces;
  }

  #flushText(): void {
    if (this.#text === "") return;
    this.#reserve(Buffer.byteLength(this.#text));
    this.#length += this.#joined.write(this.#text, this.#length, "utf8");
    this.#text = "";
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#joined.length) return;
    this.#closePiece();
    const isAllThereIs = this.#pieces.length === 0 && this.#joined.length === 0;
    this.#joined = Buffer.allocUnsafe(isAllThereIs ? Math.max(size, 1024) : Math.max(size, JOINED_BYTES));
    this.#from = 0;
    this.#length = 0;
  }

  #closePiece(): void {
    if (this.#length > this.#from) this.#pieces.push(this.#joined.subarray(this.#from, this.#length));
    this.#from = this.#length;
  }
}
