import { invariant } from "./invariant.ts";
import { JsonLimitError, JsonSyntaxError } from "./json-errors.ts";
import {
  AFTER_VALUE,
  BEFORE_KEY,
  BEFORE_VALUE,
  BEGIN_KEY,
  BEGIN_SCALAR,
  CLOSE_ARRAY,
  CLOSE_OBJECT,
  COMMA,
  END_KEY,
  END_NUMBER,
  END_SCALAR,
  endOfPlain,
  IN_KEY,
  NONE,
  OPEN_ARRAY,
  OPEN_OBJECT,
  STEPS,
} from "./json-grammar.ts";
import { keyText } from "./json-key.ts";
import type { PatternNode } from "./json-patterns.ts";
import { JsonSpan } from "./json-span.ts";
import { JsonTrail } from "./json-trail.ts";

/**
 * Containers open at once. Encoders and decoders commonly stop at this depth, so a real body does not come near. `JSON.parse`
 * does not recurse; `JSON.stringify` does, and overflows the stack at less than half of this.
 * Larger: more hostile values reach receivers that recurse. Smaller: bodies that their sender could read are refused.
 */
export const DEFAULT_MAX_DEPTH = 10_000;

/** Bytes of one key, of those that patterns look at. Larger: a hostile body fills memory. Smaller: real keys are refused. */
const DEFAULT_MAX_KEY_BYTES = 65_536;

/** Bytes of one handed-out value. Larger: a hostile body fills memory. Smaller: a body with one large value is refused whole. */
const DEFAULT_MAX_VALUE_BYTES = 64 * 1024 * 1024;

export interface SplitterOptions {
  /**
   * Of values, of any kind, that are handed out raw, and of containers (objects and arrays) whose begin and end is told. A scalar
   * where a container may be is not told.
   */
  readonly patterns: PatternNode;
  /**
   * The bytes of one value as in the body, without white space around them, in memory of its own. `path` has the decoded
   * keys and the indices and belongs to the receiver too. Values come as they are read: what comes after may still prove
   * the body broken, and of members with the same key all are handed out, in order.
   */
  onValue(pattern: number, path: readonly (string | number)[], raw: Buffer): void;
  onOpen?(pattern: number, path: readonly (string | number)[], kind: "object" | "array"): void;
  onClose?(pattern: number, path: readonly (string | number)[]): void;
  /** {@link DEFAULT_MAX_DEPTH} */
  readonly maxDepth?: number;
  /** {@link DEFAULT_MAX_KEY_BYTES} */
  readonly maxKeyBytes?: number;
  /** {@link DEFAULT_MAX_VALUE_BYTES} */
  readonly maxValueBytes?: number;
}

/**
 * Reads one JSON value of any size chunk by chunk and hands out the raw bytes at chosen paths. Accepts what `JSON.parse` of
 * the decoded body accepts, within the limits. Throws {@link JsonSyntaxError}, {@link JsonLimitError} and whatever a
 * receiver throws; after that it takes no more bytes. Keeps no chunk after `write` returns.
 */
export class JsonSplitter {
  readonly #options: SplitterOptions;
  readonly #maxDepth: number;
  readonly #trail: JsonTrail;
  readonly #key: JsonSpan;
  readonly #value: JsonSpan;
  /** False once ended or failed, and while a receiver runs. */
  #isReady = true;
  /** Bytes in the chunks before the one at hand. */
  #offset = 0;
  #state = BEFORE_VALUE;
  /** Open containers. Equal to the trail's depth where patterns may match; larger inside values that none leads through. */
  #depth = 0;
  /** For each open container whether the one around it is an object. */
  readonly #around: boolean[] = [];
  #isInObject = false;
  /** The value pattern being captured, and the depth at which its value began. */
  #pattern = -1;
  #captureDepth = -1;

  constructor(options: SplitterOptions) {
    this.#options = options;
    this.#maxDepth = options.maxDepth ?? DEFAULT_MAX_DEPTH;
    this.#key = new JsonSpan("maxKeyBytes", options.maxKeyBytes ?? DEFAULT_MAX_KEY_BYTES);
    this.#value = new JsonSpan("maxValueBytes", options.maxValueBytes ?? DEFAULT_MAX_VALUE_BYTES);
    this.#trail = new JsonTrail(options.patterns);
  }

  write(chunk: Uint8Array): void {
    invariant(this.#isReady, "a splitter takes bytes until it ended or failed, one chunk at a time");
    this.#isReady = false;
    const bytes = Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
    this.#read(bytes);
    this.#key.carryOver(bytes);
    this.#value.carryOver(bytes);
    this.#offset += bytes.length;
    this.#isReady = true;
  }

  /** Throws unless exactly one whole JSON value was seen. */
  end(): void {
    invariant(this.#isReady, "a splitter ends once, and not after it failed");
    this.#isReady = false;
    // Only a number at the root ends with the body; the byte after it, if there were one, could be a space.
    const step = STEPS[(this.#state << 8) | 0x20] ?? 0;
    if (this.#depth === 0 && step >> 8 === END_NUMBER) this.#state = this.#act(step, Buffer.alloc(0), 0);
    if (this.#state !== AFTER_VALUE || this.#depth > 0) throw new JsonSyntaxError("JSON ends early", this.#offset);
  }

  #read(bytes: Buffer): void {
    const length = bytes.length;
    let state = this.#state;
    let at = 0;
    while (at < length) {
      if (state <= IN_KEY) {
        at = endOfPlain(bytes, at);
        if (at === length) break;
      }
      const step = STEPS[(state << 8) | (bytes[at] ?? 0)] ?? 0;
      state = step >> 8 === NONE ? step : this.#act(step, bytes, at);
      if (step >> 8 !== END_NUMBER) at++;
    }
    this.#state = state;
  }

  /** Does the action of `step`, taken at `at`; returns the next state. */
  #act(step: number, bytes: Buffer, at: number): number {
    switch (step >> 8) {
      case BEGIN_SCALAR:
        if (this.#depth === this.#trail.depth) this.#beginFollowed(at);
        break;
      case END_SCALAR:
        this.#endValue(bytes, at + 1);
        break;
      case END_NUMBER:
        this.#endValue(bytes, at);
        break;
      case BEGIN_KEY:
        if (this.#depth === this.#trail.depth) this.#key.begin(at + 1);
        break;
      case END_KEY:
        if (this.#depth === this.#trail.depth) this.#trail.toKey(this.#key.end(bytes, at, keyText));
        break;
      case OPEN_OBJECT:
        this.#open("object", at);
        break;
      case OPEN_ARRAY:
        this.#open("array", at);
        break;
      case CLOSE_OBJECT:
        this.#close(true, bytes, at);
        break;
      case CLOSE_ARRAY:
        this.#close(false, bytes, at);
        break;
      case COMMA:
        if (this.#depth === 0) this.#fail(at);
        return this.#isInObject ? BEFORE_KEY : BEFORE_VALUE;
      default:
        this.#fail(at);
    }
    return step & 0xff;
  }

  #open(kind: "object" | "array", at: number): void {
    if (this.#depth >= this.#maxDepth) throw new JsonLimitError("maxDepth", this.#maxDepth);
    if (this.#depth === this.#trail.depth) {
      const node = this.#beginFollowed(at);
      if (node !== undefined && node.value === undefined) this.#enter(node, kind);
    }
    this.#depth++;
    this.#around.push(this.#isInObject);
    this.#isInObject = kind === "object";
  }

  #close(isObject: boolean, bytes: Buffer, at: number): void {
    if (this.#depth === 0 || this.#isInObject !== isObject) this.#fail(at);
    this.#isInObject = this.#around.pop() ?? false;
    this.#depth--;
    if (this.#trail.depth > this.#depth) this.#leave();
    else this.#endValue(bytes, at + 1);
  }

  #enter(node: PatternNode, kind: "object" | "array"): void {
    for (const pattern of node.containers) this.#options.onOpen?.(pattern, this.#trail.path(), kind);
    this.#trail.enter(node, kind);
  }

  #leave(): void {
    const { containers } = this.#trail.leave();
    for (const pattern of containers) this.#options.onClose?.(pattern, this.#trail.path());
  }

  /** A value begins directly in a container that patterns lead through, or at the root. */
  #beginFollowed(at: number): PatternNode | undefined {
    const node = this.#trail.toValue();
    if (node?.value !== undefined) {
      this.#pattern = node.value;
      this.#captureDepth = this.#depth;
      this.#value.begin(at);
    }
    return node;
  }

  #endValue(bytes: Buffer, end: number): void {
    if (this.#depth !== this.#captureDepth) return;
    this.#captureDepth = -1;
    this.#options.onValue(this.#pattern, this.#trail.path(), this.#value.end(bytes, end, copyOf));
  }

  #fail(at: number): never {
    throw new JsonSyntaxError("not JSON", this.#offset + at);
  }
}

/** Not from the shared pool: one small value that is kept for long would keep a whole slab of it. */
function copyOf(bytes: Buffer, from: number, to: number): Buffer {
  const copy = Buffer.allocUnsafeSlow(to - from);
  bytes.copy(copy, 0, from, to);
  return copy;
}
