import type { Agent, Dispatcher } from "undici";
import type { Forwarded } from "../model/upstream.ts";
import type { BaseUrl } from "./base-url.ts";
import { callHeaders } from "./call-headers.ts";
import { statusError, toUpstreamError } from "./fault.ts";
import { readBounded } from "./read-bounded.ts";

/** For whom a call is made. */
export interface ReadCall {
  readonly token: string;
  readonly forwarded: Forwarded;
  readonly signal: AbortSignal;
}

interface Get extends ReadCall {
  /** After `/_matrix/client/v3`. */
  readonly path: string;
  /** For the call and the reading of its answer, in milliseconds. */
  readonly timeoutMs: number;
}

/** Bytes of an error body that are read. Larger: an error page fills memory. Smaller: an `errcode` is missed. */
const MAX_ERROR_BYTES = 64 * 1024;

/** The answer to a `GET` when it is a 200. Any other throws `UpstreamError`, or the reason of the signal. */
export async function getAsUser(
  agent: Agent,
  { origin, prefix }: BaseUrl,
  { token, forwarded, signal, path, timeoutMs }: Get,
): Promise<Dispatcher.ResponseData> {
  const what = `GET ${path.split("?")[0]}`;
  try {
    const answer = await agent.request({
      origin,
      path: `${prefix}/_matrix/client/v3${path}`,
      method: "GET",
      headers: callHeaders(`Bearer ${token}`, forwarded),
      signal: AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)]),
    });
    const { statusCode: status, headers, body } = answer;
    if (status === 200) return answer;
    throw statusError(what, { status, headers, body: await readBounded(body, MAX_ERROR_BYTES) });
  } catch (error) {
    throw toUpstreamError(error, what, signal);
  }
}
