import type { Forwarded } from "../model/upstream.ts";

/** Headers of a call that Slidecar makes itself, for a client whose address and agent the homeserver should see. */
export function callHeaders(authorization: string | undefined, forwarded: Forwarded): Record<string, string> {
  return {
    accept: "application/json",
    ...(authorization !== undefined && { authorization }),
    // Homeserver and clients speak HTTPS to each other as far as anybody outside knows; without a scheme Synapse warns.
    ...(forwarded.xForwardedFor !== undefined && {
      "x-forwarded-for": forwarded.xForwardedFor,
      "x-forwarded-proto": "https",
    }),
    ...(forwarded.userAgent !== undefined && { "user-agent": forwarded.userAgent }),
  };
}
