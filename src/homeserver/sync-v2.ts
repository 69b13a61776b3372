import type { Agent } from "undici";
import type { UpstreamHeaders } from "../model/client-upstream.ts";
import type { Forwarded } from "../model/upstream.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import type { BaseUrl } from "./base-url.ts";
import { callHeaders } from "./call-headers.ts";
import { statusError, toUpstreamError } from "./fault.ts";
import { discard, readBounded } from "./read-bounded.ts";

/** One poll of `GET /_matrix/client/v3/sync`. */
export interface PollOptions {
  readonly token: string;
  /** undefined: an initial sync. */
  readonly since: string | undefined;
  /** How long the homeserver may wait for news, in milliseconds. */
  readonly timeoutMs: number;
  /** Filter as JSON, or its id. */
  readonly filter: string;
  readonly fullState?: boolean;
  readonly forwarded: Forwarded;
  readonly signal: AbortSignal;
}

export interface PollLimits {
  /** On top of the poll's own timeout, until the response begins, in milliseconds. */
  readonly beyondTimeoutMs: number;
  /** The same for a poll that computes everything, which homeservers do before they send the first byte. */
  readonly initialMs: number;
  /** Between two pieces of a body, in milliseconds. */
  readonly idleMs: number;
  /** For a body as a whole, in milliseconds. */
  readonly bodyMs: number;
}

/** Bytes of an error body that are read. Larger: an error page fills memory. Smaller: an `errcode` is missed. */
const MAX_ERROR_BYTES = 64 * 1024;

const WHAT = "GET /sync";

/**
 * Polls, and returns the body of a 200 as it arrives; it has to be read to its end or left by `break`, `return` or `throw`.
 * The call and the reading throw {@link UpstreamError}, or the reason of `signal` once that has aborted.
 */
export async function pollSyncV2(
  agent: Agent,
  { origin, prefix }: BaseUrl,
  poll: PollOptions,
  limits: PollLimits,
): Promise<AsyncIterable<Buffer>> {
  const { token, forwarded, signal } = poll;
  const isWhole = poll.since === undefined || poll.fullState === true;
  try {
    const answer = await agent.request({
      origin,
      path: `${prefix}/_matrix/client/v3/sync?${queryOf(poll)}`,
      method: "GET",
      headers: callHeaders(`Bearer ${token}`, forwarded),
      headersTimeout: isWhole ? limits.initialMs : poll.timeoutMs + limits.beyondTimeoutMs,
      bodyTimeout: limits.idleMs,
      signal,
    });
    const { statusCode: status, headers, body } = answer;
    if (status !== 200) {
      throw statusError(WHAT, { status, headers, body: await readBounded(body, MAX_ERROR_BYTES) });
    }
    if (!isJson(headers)) {
      discard(body);
      throw new UpstreamError(`${WHAT}: not JSON but ${String(headers["content-type"])}`, { kind: "malformed" });
    }
    return piecesOf(body, signal, limits.bodyMs);
  } catch (error) {
    throw toUpstreamError(error, WHAT, signal);
  }
}

async function* piecesOf(body: AsyncIterable<Buffer>, signal: AbortSignal, maxMs: number): AsyncGenerator<Buffer> {
  const beganMs = performance.now();
  try {
    for await (const piece of body) {
      if (performance.now() - beganMs > maxMs) {
        throw new UpstreamError(`${WHAT}: the body does not end`, { kind: "timeout" });
      }
      yield piece;
    }
  } catch (error) {
    throw toUpstreamError(error, WHAT, signal);
  }
}

function queryOf({ since, timeoutMs, filter, fullState }: PollOptions): URLSearchParams {
  return new URLSearchParams({
    ...(since !== undefined && { since }),
    ...(fullState === true && { full_state: "true" }),
    timeout: String(timeoutMs),
    filter,
    set_presence: "offline",
    // Its stable and its unstable name (MSC4222); which one a homeserver knows shows in the key of its answer.
    use_state_after: "true",
    "org.matrix.msc4222.use_state_after": "true",
  });
}

function isJson(headers: UpstreamHeaders): boolean {
  return /^application\/(?:[\w.+-]+\+)?json\s*(?:;|$)/i.test(String(headers["content-type"]));
}
