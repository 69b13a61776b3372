// The Postgres wire protocol (version 3), as far as a relay has to know it to tell statements and their answers apart.

/** What a client sends for one statement, up to and with the message after which the server answers. */
export interface Statement {
  readonly bytes: Buffer;
  /** The name of a prepared statement, or the text of an unnamed one; undefined: it is no statement. */
  readonly label: string | undefined;
  /** The server says when it is done with it. */
  readonly isAnswered: boolean;
}

/** One message of the server. */
export interface Answer {
  readonly bytes: Buffer;
  /** The last one of the answer to a statement. */
  readonly isReady: boolean;
}

const [BIND, PARSE, QUERY, SYNC, READY] = [..."BPQSZ"].map((letter) => letter.charCodeAt(0));

/** Cuts messages out of a stream; `hasType` false: the first one has no type byte. */
class Messages {
  #rest: Buffer = Buffer.alloc(0);
  #hasType: boolean;

  constructor(hasType: boolean) {
    this.#hasType = hasType;
  }

  *of(chunk: Buffer): Generator<Buffer> {
    let bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    for (;;) {
      const lengthAt = this.#hasType ? 1 : 0;
      const end = bytes.length < lengthAt + 4 ? Number.POSITIVE_INFINITY : lengthAt + bytes.readInt32BE(lengthAt);
      if (end > bytes.length) break;
      yield bytes.subarray(0, end);
      bytes = bytes.subarray(end);
      this.#hasType = true;
    }
    this.#rest = bytes;
  }
}

/** Reads what a client sends. */
export class StatementReader {
  readonly #messages = new Messages(false);
  #pending: Buffer[] = [];
  #label: string | undefined;
  #unnamed = "";
  #isStarted = false;

  *statements(chunk: Buffer): Generator<Statement> {
    for (const message of this.#messages.of(chunk)) {
      this.#pending.push(message);
      const type = this.#isStarted ? message[0] : undefined;
      this.#isStarted = true;
      if (type === PARSE) this.#read(message);
      else if (type === BIND) this.#label = textAt(message, textAt(message, 5).end).text || this.#unnamed;
      else if (type === QUERY) this.#label = textAt(message, 5).text;
      // Parse, Bind, Describe, Execute, Close: a part of what ends with Sync.
      if (type !== undefined && "PBDEC".includes(String.fromCharCode(type))) continue;
      const isAnswered = type === SYNC || type === QUERY;
      yield { bytes: Buffer.concat(this.#pending), label: isAnswered ? this.#label : undefined, isAnswered };
      this.#pending = [];
      this.#label = undefined;
    }
  }

  #read(parse: Buffer): void {
    const name = textAt(parse, 5);
    if (name.text === "") this.#unnamed = textAt(parse, name.end).text;
  }
}

/** Reads what a server sends. */
export class AnswerReader {
  readonly #messages = new Messages(true);

  *answers(chunk: Buffer): Generator<Answer> {
    for (const bytes of this.#messages.of(chunk)) yield { bytes, isReady: bytes[0] === READY };
  }
}

/** A text that ends with a zero byte. */
function textAt(message: Buffer, start: number): { readonly text: string; readonly end: number } {
  const zero = message.indexOf(0, start);
  return { text: message.toString("utf8", start, zero), end: zero + 1 };
}
