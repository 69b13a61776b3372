import { ClientError } from "../model/client-error.ts";

/** The route knows the path but not the method. */
export class WrongMethodError extends ClientError {
  /** Methods that the route knows, as in the header `Allow`. */
  readonly allowed: string;

  constructor(allowed: string) {
    super("M_UNRECOGNIZED", `Unrecognized request: the method must be ${allowed}`);
    this.allowed = allowed;
  }
}

/** The device asks for more than its share. */
export class LimitExceededError extends ClientError {
  readonly retryAfterMs: number;

  constructor(retryAfterMs: number) {
    super("M_LIMIT_EXCEEDED", "Too many requests");
    this.retryAfterMs = retryAfterMs;
  }
}
