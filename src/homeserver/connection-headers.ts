import type { UpstreamHeaders } from "../model/client-upstream.ts";

/** Headers that concern one connection and are not passed on (RFC 9110 section 7.6.1, and what older software sends). */
const OF_ONE_CONNECTION: ReadonlySet<string> = new Set([
  "connection",
  "keep-alive",
  "proxy-authenticate",
  "proxy-authorization",
  "proxy-connection",
  "te",
  "trailer",
  "transfer-encoding",
  "upgrade",
]);

/** Headers that this side makes anew: the address asked, who is behind, and a wish that the server here has fulfilled. */
const MADE_ANEW: ReadonlySet<string> = new Set(["host", "x-forwarded-for", "expect"]);

/** A request's headers, as they are passed on: names and values by turns. */
export function requestHeaders(rawHeaders: readonly string[], xForwardedFor: string | undefined): string[] {
  const pairs = rawHeaders.flatMap((name, index) =>
    index % 2 === 0 ? [{ name, lower: name.toLowerCase(), value: rawHeaders[index + 1] ?? "" }] : [],
  );
  const named = namedByConnection(pairs.flatMap(({ lower, value }) => (lower === "connection" ? [value] : [])));
  const kept = pairs.filter(({ lower }) => !OF_ONE_CONNECTION.has(lower) && !MADE_ANEW.has(lower) && !named.has(lower));
  const forwarded = xForwardedFor === undefined ? [] : ["X-Forwarded-For", xForwardedFor];
  return [...kept.flatMap(({ name, value }) => [name, value]), ...forwarded];
}

/** A response's headers, as they are passed on. */
export function responseHeaders(headers: UpstreamHeaders): UpstreamHeaders {
  const named = namedByConnection([headers.connection ?? []].flat());
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !OF_ONE_CONNECTION.has(name) && !named.has(name)),
  );
}

function namedByConnection(values: readonly string[]): ReadonlySet<string> {
  return new Set(values.flatMap((value) => value.split(",")).map((name) => name.trim().toLowerCase()));
}
