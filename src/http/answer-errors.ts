import type { ErrorRequestHandler } from "express";
import { allowOrigins } from "./cors.ts";
import { errorAnswer } from "./errors.ts";
import type { HttpDeps } from "./ports.ts";
import { sendJson } from "./send.ts";
import { traceOf } from "./trace.ts";

/** Answers what routes throw, and logs what is not the client's fault. */
export function answerErrors({ log }: Pick<HttpDeps, "log">): ErrorRequestHandler {
  return (error: unknown, request, response, _next) => {
    const { status, errcode, headers, body, fault } = errorAnswer(error);
    const trace = traceOf(response);
    trace.errcode = errcode;
    const { requestId, route, device } = trace;
    const line = { requestId, method: request.method, route, status, errcode, user: device?.userId, err: error };
    if (fault === "bug") log.error(line, "request failed because of a bug");
    else if (fault === "upstream") log.warn(line, "request failed");
    if (response.headersSent) {
      response.destroy();
      return;
    }
    allowOrigins(response);
    sendJson(response, status, [body], headers);
  };
}
