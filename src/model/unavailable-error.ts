/** Slidecar cannot answer now and will be able to soon. The message is shown to the client. */
export class UnavailableError extends Error {
  override readonly name = "UnavailableError";
  /** When it is worth asking again, in milliseconds from now. */
  readonly retryAfterMs: number;

  constructor(message: string, retryAfterMs: number, options?: ErrorOptions) {
    super(message, options);
    this.retryAfterMs = retryAfterMs;
  }
}
