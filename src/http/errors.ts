import { ClientError, type ErrCode } from "../model/client-error.ts";
import { RequestEndedError } from "../model/request-ended-error.ts";
import { UnavailableError } from "../model/unavailable-error.ts";
import type { UpstreamFault } from "../model/upstream.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import { LimitExceededError, WrongMethodError } from "./client-errors.ts";
import { TokenRefusedError } from "./token-refused-error.ts";

/** An error as the client gets it. */
interface ErrorAnswer {
  readonly status: number;
  readonly errcode: string;
  readonly headers: Readonly<Record<string, string>>;
  /** JSON */
  readonly body: string | Buffer;
  /** Who is at fault: the client, the homeserver (or a pause of ours that will end), or a bug of Slidecar. */
  readonly fault: "client" | "upstream" | "bug";
}

const STATUS_OF: Readonly<Record<ErrCode, number>> = {
  M_BAD_JSON: 400,
  M_FORBIDDEN: 403,
  M_INVALID_PARAM: 400,
  M_LIMIT_EXCEEDED: 429,
  M_MISSING_PARAM: 400,
  M_MISSING_TOKEN: 401,
  M_NOT_FOUND: 404,
  M_NOT_JSON: 400,
  M_TOO_LARGE: 413,
  M_UNKNOWN: 400,
  M_UNKNOWN_POS: 400,
  M_UNKNOWN_TOKEN: 401,
  M_UNRECOGNIZED: 404,
};

const WRONG_METHOD_STATUS = 405;

/** Clients come back after this when Slidecar restarts; another replica answers them, or the next process. */
const SHUTDOWN_RETRY_MS = 1000;

/** What a client is told of an error. Of what is not its business it learns nothing. */
export function errorAnswer(error: unknown): ErrorAnswer {
  if (error instanceof WrongMethodError) {
    return clientAnswer(error, { status: WRONG_METHOD_STATUS, headers: { Allow: error.allowed } });
  }
  if (error instanceof LimitExceededError) return clientAnswer(error, { retryAfterMs: error.retryAfterMs });
  if (error instanceof ClientError) return clientAnswer(error, {});
  if (error instanceof TokenRefusedError) {
    const { status, errcode, body } = error;
    return { status, errcode, headers: {}, body, fault: "client" };
  }
  if (error instanceof UpstreamError) return upstreamAnswer(error);
  if (error instanceof UnavailableError) return unavailableAnswer(error.message, error.retryAfterMs);
  if (error instanceof RequestEndedError) return unavailableAnswer(error.message, SHUTDOWN_RETRY_MS);
  return plainAnswer(500, "Internal error", "bug");
}

function clientAnswer(
  error: ClientError,
  more: { status?: number; headers?: Readonly<Record<string, string>>; retryAfterMs?: number },
): ErrorAnswer {
  const { errcode, message } = error;
  const { status = STATUS_OF[errcode], headers = {}, retryAfterMs } = more;
  const waits = retryAfterMs !== undefined;
  return {
    status,
    errcode,
    headers: { ...headers, ...(waits && retryAfter(retryAfterMs)) },
    body: JSON.stringify({ errcode, error: message, ...(waits && { retry_after_ms: retryAfterMs }) }),
    fault: "client",
  };
}

/**
 * Clients know what to do with the homeserver's 403, 429 and 5xx. All else says nothing about this client's token or
 * position, and must not sound as if it did: that would log it out or make it start anew.
 */
function upstreamAnswer({ fault, body }: UpstreamError): ErrorAnswer {
  if (fault.kind === "status" && fault.errcode !== undefined && body !== undefined && isForClients(fault)) {
    const { status, errcode, retryAfterMs } = fault;
    return {
      status,
      errcode,
      headers: retryAfterMs === undefined ? {} : retryAfter(retryAfterMs),
      body,
      fault: "upstream",
    };
  }
  if (fault.kind === "timeout") return plainAnswer(504, "The homeserver did not answer in time", "upstream");
  return plainAnswer(502, "The homeserver did not answer", "upstream");
}

function isForClients(fault: Extract<UpstreamFault, { readonly kind: "status" }>): boolean {
  return fault.status === 403 || fault.status === 429 || fault.status >= 500;
}

function unavailableAnswer(message: string, retryAfterMs: number): ErrorAnswer {
  return {
    status: 503,
    errcode: "M_UNKNOWN",
    headers: retryAfter(retryAfterMs),
    body: JSON.stringify({ errcode: "M_UNKNOWN", error: message, retry_after_ms: retryAfterMs }),
    fault: "upstream",
  };
}

function plainAnswer(status: number, message: string, fault: "upstream" | "bug"): ErrorAnswer {
  const errcode = "M_UNKNOWN";
  return { status, errcode, headers: {}, body: JSON.stringify({ errcode, error: message }), fault };
}

function retryAfter(ms: number): Record<string, string> {
  return { "Retry-After": String(Math.ceil(ms / 1000)) };
}
