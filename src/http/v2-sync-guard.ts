import type { RequestHandler } from "express";
import type { DeviceName } from "../model/calling-device.ts";
import { ClientError } from "../model/client-error.ts";
import { UpstreamError } from "../model/upstream-error.ts";
import type { Authenticate } from "./authenticate.ts";
import type { HttpDeps } from "./ports.ts";
import { forwardedOf, tokenOf } from "./request-facts.ts";
import { TokenRefusedError } from "./token-refused-error.ts";

export const V2_SYNC_PATHS = ["/_matrix/client/r0/sync", "/_matrix/client/v3/sync"];

const REFUSAL =
  "This device uses sliding sync, which reads its to-device messages from the homeserver. /sync of the same device would " +
  "take some of them, and encryption keys would be lost. Log in as another device to use /sync.";

interface V2SyncGuardDeps extends Pick<HttpDeps, "metrics"> {
  readonly authenticate: Authenticate;
  readonly isPolled: IsPolled;
}

/** Whether Slidecar reads the device's v2 stream now. */
export type IsPolled = (device: DeviceName) => boolean | Promise<boolean>;

/** Lets v2 `/sync` through unless Slidecar polls the device: of two readers each would miss what the other has taken. */
export function v2SyncGuard({ authenticate, isPolled, metrics }: V2SyncGuardDeps): RequestHandler {
  return async (request, _response, next) => {
    const token = tokenOf(request);
    const device = token === undefined ? undefined : await deviceOf(authenticate(token, forwardedOf(request)));
    if (device !== undefined && (await isPolled(device))) {
      metrics.passthroughRequests.inc({ outcome: "refused" });
      throw new ClientError("M_FORBIDDEN", REFUSAL);
    }
    next();
  };
}

/** Undefined when it cannot be known: then the homeserver says why. */
async function deviceOf(identity: Promise<DeviceName>): Promise<DeviceName | undefined> {
  try {
    return await identity;
  } catch (error) {
    if (error instanceof TokenRefusedError || error instanceof UpstreamError) return undefined;
    throw error;
  }
}
