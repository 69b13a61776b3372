import type { Dialect } from "../dialect.ts";
import { encodeResponse } from "./encode-response.ts";
import { type ParseOptions, parseRequest } from "./parse-request.ts";
import { KnownConfigs } from "./parse-room-config.ts";

/**
 * The dialect that homeservers and Element X speak today: MSC4186 under its unstable name.
 *
 * @param options.maxTimelineLimit a larger `timeline_limit` counts as this one.
 * @param options.withOps list operations are sent: one SYNC for every range of every list. No known client reads them.
 */
export function createSimplifiedMsc3575(options: ParseOptions): Dialect {
  const known = new KnownConfigs();
  return {
    name: "simplified-msc3575",
    path: "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync",
    parse: (query, body, reader) => parseRequest(query, body, reader, options, known),
    encode: (response, pos, request) => encodeResponse(response, pos, request, options.withOps),
  };
}
