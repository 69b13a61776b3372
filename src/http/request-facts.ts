import type { IncomingMessage } from "node:http";
import type { Forwarded } from "../model/upstream.ts";

/** The access token of a request: in its header, or in its query as older clients send it. */
export function tokenOf(request: IncomingMessage): string | undefined {
  const { authorization } = request.headers;
  const [, bearer] = /^Bearer +(\S+) *$/i.exec(authorization ?? "") ?? [];
  if (bearer !== undefined) return bearer;
  const inQuery = authorization === undefined ? queryOf(request).get("access_token") : null;
  return inQuery === null || inQuery === "" ? undefined : inQuery;
}

export function queryOf({ url = "" }: IncomingMessage): URLSearchParams {
  const start = url.indexOf("?");
  return new URLSearchParams(start === -1 ? "" : url.slice(start + 1));
}

/** Path without the query, as the client wrote it. */
export function pathOf({ url = "" }: IncomingMessage): string {
  const end = url.indexOf("?");
  return end === -1 ? url : url.slice(0, end);
}

/** What the homeserver is told of the client: its address comes after those that proxies in between have told. */
export function forwardedOf(request: IncomingMessage): Forwarded {
  const told = request.headers["x-forwarded-for"];
  // An IPv4 address on a socket that takes both kinds.
  const peer = request.socket.remoteAddress?.replace(/^::ffff:(?=\d+\.)/, "");
  const addresses = [told, peer].flat().filter((address) => address !== undefined && address !== "");
  return {
    xForwardedFor: addresses.length === 0 ? undefined : addresses.join(", "),
    userAgent: request.headers["user-agent"],
  };
}
