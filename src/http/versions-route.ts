import type { RequestHandler } from "express";
import type { HttpDeps } from "./ports.ts";
import { forwardedOf, tokenOf } from "./request-facts.ts";
import { sendJson } from "./send.ts";

export const VERSIONS_PATH = "/_matrix/client/versions";

/** Clients look for it before they sync; without it they say that the homeserver does not support sliding sync. */
const ADVERTISED = { "org.matrix.simplified_msc3575": true };

/** The flags may differ from user to user and change with our presence: no cache in between may keep them. */
const CACHING = { Vary: "Authorization", "Cache-Control": "private, no-cache" };

/** The homeserver's `/versions` with what Slidecar adds. What is not such an answer is passed on as it is. */
export function versionsRoute({ upstream }: Pick<HttpDeps, "upstream">): RequestHandler {
  return async (request, response) => {
    const token = tokenOf(request);
    const authorization = token === undefined ? undefined : `Bearer ${token}`;
    const { status, headers, body, json } = await upstream.versions(authorization, forwardedOf(request));
    const merged = status === 200 ? merge(json) : undefined;
    if (merged !== undefined) {
      sendJson(response, 200, [JSON.stringify(merged)], CACHING);
      return;
    }
    const { "content-type": type, "retry-after": retryAfter } = headers;
    sendJson(response, status, [body], {
      ...CACHING,
      ...(typeof type === "string" && { "Content-Type": type }),
      ...(typeof retryAfter === "string" && { "Retry-After": retryAfter }),
    });
  };
}

function merge(json: unknown): object | undefined {
  if (!isObject(json)) return undefined;
  const flags = "unstable_features" in json && isObject(json.unstable_features) ? json.unstable_features : {};
  return { ...json, unstable_features: { ...flags, ...ADVERTISED } };
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
