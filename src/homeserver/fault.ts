import { errors } from "undici";
import { isJsonObject, parseJson } from "../lib/json-value.ts";
import type { UpstreamHeaders } from "../model/client-upstream.ts";
import { UpstreamError } from "../model/upstream-error.ts";

/**
 * What a failed call threw, as an {@link UpstreamError}. An abort by `signal` and a call that was wrong in itself stay what
 * they are.
 */
export function toUpstreamError(error: unknown, what: string, signal?: AbortSignal): unknown {
  if (error instanceof UpstreamError || signal?.aborted === true) return error;
  if (error instanceof errors.InvalidArgumentError || error instanceof errors.NotSupportedError) return error;
  const kind = kindOf(error);
  return new UpstreamError(`${what}: ${kind === "timeout" ? "no answer in time" : kind}`, { kind }, { cause: error });
}

function kindOf(error: unknown): "unreachable" | "timeout" | "malformed" {
  if (
    error instanceof errors.ConnectTimeoutError ||
    error instanceof errors.HeadersTimeoutError ||
    error instanceof errors.BodyTimeoutError ||
    (error instanceof DOMException && error.name === "TimeoutError")
  ) {
    return "timeout";
  }
  return error instanceof errors.HTTPParserError || error instanceof errors.HeadersOverflowError
    ? "malformed"
    : "unreachable";
}

/** An answer with a status other than the expected one. `body` is undefined when it was too large to be read. */
export function statusError(
  what: string,
  answer: { readonly status: number; readonly headers: UpstreamHeaders; readonly body: Buffer | undefined },
): UpstreamError {
  const { status, headers, body } = answer;
  const json = body === undefined ? undefined : parseJson(body);
  const errcode = errcodeOf(json);
  const fault = { kind: "status", status, errcode, retryAfterMs: retryAfterMs(headers, json) } as const;
  const message = `${what}: status ${status}${errcode === undefined ? "" : ` ${errcode}`}`;
  return new UpstreamError(message, fault, errcode === undefined || body === undefined ? {} : { body });
}

/** `errcode` of a Matrix error body; undefined when it is none. */
export function errcodeOf(json: unknown): string | undefined {
  return isJsonObject(json) && typeof json.errcode === "string" ? json.errcode : undefined;
}

/** `Retry-After` in seconds or as a date, measured against the answer's own `Date`, else `retry_after_ms` of the body. */
function retryAfterMs(headers: UpstreamHeaders, json: unknown): number | undefined {
  const header = headers["retry-after"];
  if (typeof header === "string") {
    const ms = /^\d{1,9}$/.test(header) ? Number(header) * 1000 : Date.parse(header) - Date.parse(String(headers.date));
    if (Number.isFinite(ms) && ms >= 0) return ms;
  }
  const ms = isJsonObject(json) ? json.retry_after_ms : undefined;
  return typeof ms === "number" && Number.isFinite(ms) && ms >= 0 ? ms : undefined;
}
