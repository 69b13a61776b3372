import { JsonLimitError } from "./json-errors.ts";

const NOTHING = Buffer.alloc(0);

/** First size of the buffer for a span that crosses chunks. Larger: wasted on short ones. Smaller: more growing. */
const FIRST_SPAN_BYTES = 1024;

/**
 * A run of bytes of interest, a key or a value, that may begin and end in different chunks. What a chunk holds of it is
 * copied before that chunk goes, so no chunk is kept, however small the chunks are or however long the run.
 */
export class JsonSpan {
  readonly #limit: JsonLimitError["limit"];
  readonly #maxBytes: number;
  /** Where the span goes on in the chunk at hand; -1 when there is none. */
  #from = -1;
  /** What came of it before the chunk at hand: the first bytes of `kept`. */
  #kept = NOTHING;
  #keptBytes = 0;

  /** Throws {@link JsonLimitError} with `limit` when a span has more than `maxBytes`. */
  constructor(limit: JsonLimitError["limit"], maxBytes: number) {
    this.#limit = limit;
    this.#maxBytes = maxBytes;
  }

  begin(from: number): void {
    this.#from = from;
  }

  /** The chunk at hand is over. */
  carryOver(chunk: Buffer): void {
    if (this.#from < 0) return;
    this.#keep(chunk, chunk.length);
    this.#from = 0;
  }

  /** Ends before `end` in the chunk at hand, and lets `read` have the bytes, `from` to `to` of `bytes`, for the call. */
  end<T>(chunk: Buffer, end: number, read: (bytes: Buffer, from: number, to: number) => T): T {
    if (this.#keptBytes > 0) return this.#endKept(chunk, end, read);
    const from = this.#from;
    this.#from = -1;
    this.#check(end - from);
    return read(chunk, from, end);
  }

  #endKept<T>(chunk: Buffer, end: number, read: (bytes: Buffer, from: number, to: number) => T): T {
    this.#keep(chunk, end);
    const bytes = this.#kept;
    const size = this.#keptBytes;
    this.#kept = NOTHING;
    this.#keptBytes = 0;
    this.#from = -1;
    return read(bytes, 0, size);
  }

  #keep(chunk: Buffer, end: number): void {
    const size = this.#keptBytes + end - this.#from;
    this.#check(size);
    if (size > this.#kept.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(FIRST_SPAN_BYTES, 2 * this.#kept.length, size));
      this.#kept.copy(larger, 0, 0, this.#keptBytes);
      this.#kept = larger;
    }
    chunk.copy(this.#kept, this.#keptBytes, this.#from, end);
    this.#keptBytes = size;
  }

  #check(size: number): void {
    if (size > this.#maxBytes) throw new JsonLimitError(this.#limit, this.#maxBytes);
  }
}
