import { PassThrough, type Readable } from "node:stream";
import type { Agent } from "undici";
import type { PassedAnswer, PassedRequest } from "../model/client-upstream.ts";
import type { BaseUrl } from "./base-url.ts";
import { requestHeaders, responseHeaders } from "./connection-headers.ts";
import { toUpstreamError } from "./fault.ts";

/** Sends a client's request on and returns the answer while it arrives. Neither body is held in memory. */
export async function passRequest(
  agent: Agent,
  { origin, prefix }: BaseUrl,
  request: PassedRequest,
): Promise<PassedAnswer> {
  const { method, target, rawHeaders, forwarded, signal } = request;
  const body = request.body === undefined ? null : sharedBody(request.body);
  try {
    const answer = await agent.request({
      origin,
      path: `${prefix}${target}`,
      method,
      headers: requestHeaders(rawHeaders, forwarded.xForwardedFor),
      body,
      // Only the client knows how long it wants to wait: when it goes, `signal` ends the call.
      headersTimeout: 0,
      bodyTimeout: 0,
      signal,
    });
    return { status: answer.statusCode, headers: responseHeaders(answer.headers), body: answer.body };
  } catch (error) {
    body?.destroy();
    throw toUpstreamError(error, `${method} passed on`, signal);
  }
}

/**
 * The HTTP client destroys the body that it is given when the answer comes before the body's end; with the client's own
 * stream that would cut the connection on which the answer has to be sent. The rest is then read and dropped.
 */
function sharedBody(source: Readable): Readable {
  const shared = new PassThrough();
  // Whoever reads it has a listener of its own; one that is gone must not leave an error to the process.
  shared.on("error", () => undefined);
  source.pipe(shared);
  source.once("error", (error) => shared.destroy(error));
  source.once("close", () => {
    if (!source.readableEnded) shared.destroy(new Error("The client did not send the whole body"));
  });
  shared.once("close", () => {
    source.unpipe(shared);
    source.resume();
  });
  return shared;
}
