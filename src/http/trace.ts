import type { RequestHandler, Response } from "express";
import type { DeviceName } from "../model/calling-device.ts";
import type { HttpDeps } from "./ports.ts";

/** What is known of a request when its log line is written. */
interface Trace {
  readonly requestId: string;
  route: string | undefined;
  device: DeviceName | undefined;
  errcode: string | undefined;
}

/** What a request id from outside may look like: it goes into headers and log lines. */
const REQUEST_ID = /^[\w.:+/=-]{1,128}$/;

export function traceOf(response: Response): Trace {
  return response.locals.trace;
}

/** Gives each request its id, from outside or new, and writes one line when it is over. Neither token nor query is in it. */
export function traced({
  clock,
  log,
  newRequestId,
}: Pick<HttpDeps, "clock" | "log"> & { readonly newRequestId: () => string }): RequestHandler {
  return (request, response, next) => {
    const given = request.headers["x-request-id"];
    const requestId = typeof given === "string" && REQUEST_ID.test(given) ? given : newRequestId();
    const trace: Trace = { requestId, route: undefined, device: undefined, errcode: undefined };
    const startedMs = clock.nowMs();
    response.locals.trace = trace;
    response.setHeader("X-Request-Id", requestId);
    response.once("close", () => {
      const { statusCode: status, writableFinished: isAnswered } = response;
      const { route, device, errcode } = trace;
      const line = {
        requestId,
        method: request.method,
        route,
        status: isAnswered ? status : undefined,
        outcome: isAnswered ? "answered" : "gone",
        errcode,
        durationMs: Math.round(clock.nowMs() - startedMs),
        user: device?.userId,
        device: device?.deviceId,
      };
      log.debug(line, "request");
    });
    next();
  };
}

/** Names the route for the log line; the first of several names stays. */
export function route(name: string): RequestHandler {
  return (_request, response, next) => {
    traceOf(response).route ??= name;
    next();
  };
}
