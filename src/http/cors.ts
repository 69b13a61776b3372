import type { ServerResponse } from "node:http";
import type { RequestHandler } from "express";

/** Longer: a browser keeps an old answer after a change. Shorter: more preflights. Browsers cap it at 2 to 24 hours. */
const PREFLIGHT_SECONDS = 86_400;

const NO_CONTENT_STATUS = 204;

/** Lets web clients of any origin read the answer ("Web Browser Clients" of the specification; methods as Synapse has them). */
export function allowOrigins(response: ServerResponse): void {
  response.setHeader("Access-Control-Allow-Origin", "*");
  response.setHeader("Access-Control-Allow-Methods", "GET, HEAD, POST, PUT, DELETE, OPTIONS");
  response.setHeader("Access-Control-Allow-Headers", "X-Requested-With, Content-Type, Authorization, Date");
  response.setHeader("Access-Control-Expose-Headers", "X-Request-Id, Retry-After");
}

/** Allows all origins and answers preflights. */
export const cors: RequestHandler = (request, response, next) => {
  allowOrigins(response);
  if (request.method !== "OPTIONS") {
    next();
    return;
  }
  response.setHeader("Access-Control-Max-Age", String(PREFLIGHT_SECONDS));
  response.writeHead(NO_CONTENT_STATUS).end();
};
