import { pipeline } from "node:stream/promises";
import type { Request, RequestHandler, Response } from "express";
import { ClientError } from "../model/client-error.ts";
import type { PassedAnswer, PassedRequest } from "../model/client-upstream.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import type { HttpDeps } from "./ports.ts";
import { forwardedOf } from "./request-facts.ts";

/** Called before a request is passed on; the result when the answer begins, of which the client gets nothing before it settles. */
export type Passed = (request: Request) => (status: number) => Promise<void>;

/**
 * Passes requests on to the homeserver and its answers back, both while they arrive. What fails before the answer begins is
 * answered as an error; after that only a broken connection can tell the client.
 */
export function passRoute(
  { upstream, metrics }: Pick<HttpDeps, "upstream" | "metrics">,
  passed: Passed = () => async () => undefined,
): RequestHandler {
  return async (request, response) => {
    const gone = new AbortController();
    response.once("close", () => {
      if (!response.writableFinished) gone.abort();
    });
    try {
      const onAnswer = passed(request);
      const answer = await upstream.pass(passedRequest(request, gone.signal));
      await sendOn(answer, response, { signal: gone.signal, onAnswer });
      metrics.passthroughRequests.inc({ outcome: "answered" });
    } catch (error) {
      const isGone = gone.signal.aborted && !(error instanceof UpstreamError);
      metrics.passthroughRequests.inc({ outcome: isGone ? "gone" : "failed" });
      if (!isGone) throw error;
    }
  };
}

function passedRequest(request: Request, signal: AbortSignal): PassedRequest {
  const { method, originalUrl: target, rawHeaders, headers } = request;
  // What does not begin with a slash would name another server, or none.
  if (!target.startsWith("/")) throw new ClientError("M_UNRECOGNIZED", "Unrecognized request");
  const hasBody = headers["transfer-encoding"] !== undefined || Number(headers["content-length"] ?? 0) > 0;
  const body = hasBody ? request : undefined;
  return { method, target, rawHeaders, body, forwarded: forwardedOf(request), signal };
}

/** Throws `UpstreamError` when the homeserver breaks off. */
async function sendOn(
  { status, headers, body }: PassedAnswer,
  response: Response,
  { signal, onAnswer }: { readonly signal: AbortSignal; readonly onAnswer: ReturnType<Passed> },
): Promise<void> {
  let isBroken = false;
  body.on("error", () => {
    // Whichever side breaks off first, the other is ended because of it.
    isBroken ||= !signal.aborted;
  });
  try {
    await onAnswer(status);
    for (const [name, value] of Object.entries(headers)) {
      if (value !== undefined) response.setHeader(name, value);
    }
    response.writeHead(status);
    await pipeline(body, response);
  } catch (error) {
    if (!isBroken) throw error;
    throw new UpstreamError("The homeserver's answer broke off", { kind: "unreachable" }, { cause: error });
  } finally {
    body.destroy();
  }
}
