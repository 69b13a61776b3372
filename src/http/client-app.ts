import type { Express } from "express";
import { ClientError } from "../model/client-error.ts";
import type { Dialect } from "../protocol/dialect.ts";
import { answerErrors } from "./answer-errors.ts";
import { type AuthenticateDeps, createAuthenticate } from "./authenticate.ts";
import { BadRequestDelay } from "./bad-request-delay.ts";
import { cors } from "./cors.ts";
import { FORGET_PATH, forgetRoute } from "./forget-route.ts";
import { OpenRequests } from "./open-requests.ts";
import { passRoute } from "./pass-route.ts";
import { plainApp } from "./plain-app.ts";
import type { ForgetPort, HttpDeps, SyncPort } from "./ports.ts";
import { RateLimit } from "./rate-limit.ts";
import { syncRoute } from "./sync-route.ts";
import { route, traced } from "./trace.ts";
import { type IsPolled, V2_SYNC_PATHS, v2SyncGuard } from "./v2-sync-guard.ts";
import { VERSIONS_PATH, versionsRoute } from "./versions-route.ts";

export interface ClientAppDeps extends HttpDeps, AuthenticateDeps {
  readonly dialects: readonly Dialect[];
  readonly sync: SyncPort;
  readonly isPolled: IsPolled;
  readonly forgets: ForgetPort;
  /** Aborts when the service begins to shut down: waits for news end. */
  readonly stopping: AbortSignal;
  readonly newRequestId: () => string;
}

export interface ClientAppOptions {
  /** Whether requests that Slidecar does not serve go to the homeserver. */
  readonly passthrough: boolean;
  readonly bodyLimitBytes: number;
}

/** What Matrix clients call. */
export function createClientApp(deps: ClientAppDeps, { passthrough, bodyLimitBytes }: ClientAppOptions): Express {
  const authenticate = createAuthenticate(deps);
  const app = plainApp();
  app.use(traced(deps));
  const syncDeps = {
    ...deps,
    authenticate,
    rateLimit: new RateLimit(deps.clock),
    badRequests: new BadRequestDelay(deps.clock),
    openRequests: new OpenRequests(deps.stopping),
    bodyLimitBytes,
  };
  for (const dialect of deps.dialects) {
    app.all(dialect.path, route(dialect.path), cors, syncRoute(dialect, syncDeps));
  }
  app.options(VERSIONS_PATH, route(VERSIONS_PATH), cors);
  app.get(VERSIONS_PATH, route(VERSIONS_PATH), cors, versionsRoute(deps));
  if (passthrough) {
    app.get(V2_SYNC_PATHS, route("/_matrix/client/v3/sync"), v2SyncGuard({ ...deps, authenticate }));
    app.post(FORGET_PATH, route("/_matrix/client/v3/rooms/{roomId}/forget"), forgetRoute({ ...deps, authenticate }));
    app.use(route("*"), passRoute(deps));
  } else {
    app.use(cors, () => {
      throw new ClientError("M_UNRECOGNIZED", "Unrecognized request");
    });
  }
  app.use(answerErrors(deps));
  return app;
}
