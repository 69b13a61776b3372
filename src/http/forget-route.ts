import type { Request, RequestHandler } from "express";
import { isRoomId } from "../model/ids.ts";
import type { Authenticate } from "./authenticate.ts";
import { passRoute } from "./pass-route.ts";
import type { ForgetPort, HttpDeps } from "./ports.ts";
import { forwardedOf, tokenOf } from "./request-facts.ts";

/** Client-Server API "POST /_matrix/client/v3/rooms/{roomId}/forget", whatever the version. */
export const FORGET_PATH = /^\/_matrix\/client\/[^/]+\/rooms\/([^/]+)\/forget$/;

interface ForgetRouteDeps extends Pick<HttpDeps, "upstream" | "metrics" | "log"> {
  readonly authenticate: Authenticate;
  readonly forgets: ForgetPort;
}

/** Passes a forgetting on, and notes it when the homeserver took it: no stream tells of it. */
export function forgetRoute(deps: ForgetRouteDeps): RequestHandler {
  return passRoute(deps, (request) => {
    const storedBefore = deps.forgets.position;
    return async (status) => {
      if (status !== 200) return;
      try {
        await note(request, storedBefore, deps);
      } catch (error) {
        // The homeserver has done what the client wanted: it is answered all the same.
        deps.log.warn({ err: error }, "a room that was forgotten could not be noted, and stays in lists");
      }
    };
  });
}

async function note(
  request: Request,
  storedBefore: ForgetPort["position"],
  { authenticate, forgets }: ForgetRouteDeps,
): Promise<void> {
  const token = tokenOf(request);
  const roomId = request.params[0];
  if (token === undefined || !isRoomId(roomId)) return;
  const { userId } = await authenticate(token, forwardedOf(request));
  await forgets.forget({ userId, roomId, storedBefore });
}
