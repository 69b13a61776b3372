/** The bytes are not one whole JSON value (RFC 8259). Says where, never what: a body may hold secrets. */
export class JsonSyntaxError extends Error {
  override readonly name = "JsonSyntaxError";
  /** Bytes before the first byte that cannot be part of one JSON value; the length of the body when it ended too early. */
  readonly offset: number;

  constructor(claim: string, offset: number) {
    super(`${claim} at byte ${offset}`);
    this.offset = offset;
  }
}

/** The bytes may be valid JSON, but ask for more than the reader is willing to hold. */
export class JsonLimitError extends Error {
  override readonly name = "JsonLimitError";
  /** The option that would have to be larger. */
  readonly limit: "maxDepth" | "maxKeyBytes" | "maxValueBytes";

  constructor(limit: JsonLimitError["limit"], most: number) {
    super(`JSON exceeds ${limit} (${most})`);
    this.limit = limit;
  }
}
