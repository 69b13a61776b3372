import type { Express } from "express";
import { ClientError } from "../model/client-error.ts";
import { answerErrors } from "./answer-errors.ts";
import { plainApp } from "./plain-app.ts";
import type { HttpDeps } from "./ports.ts";
import { sendJson } from "./send.ts";
import { traced } from "./trace.ts";

interface InternalAppDeps extends Pick<HttpDeps, "clock" | "log"> {
  readonly newRequestId: () => string;
  readonly readiness: () => Readiness | Promise<Readiness>;
  /** All metrics as Prometheus reads them; undefined: none are served. */
  readonly metricsText: (() => Promise<string>) | undefined;
}

export interface Readiness {
  readonly isReady: boolean;
  /** What is missing, in short phrases. */
  readonly reasons: readonly string[];
}

const LIVE_PATH = "/live";
const READY_PATH = "/ready";
const METRICS_PATH = "/metrics";

/** Paths of the internal app, for listeners that serve it together with another. */
export const INTERNAL_PATHS: ReadonlySet<string> = new Set([LIVE_PATH, READY_PATH, METRICS_PATH]);

const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";
const NOT_READY_STATUS = 503;

/** What operators and their programs call: whether the process lives, whether it can serve, and its metrics. */
export function createInternalApp(deps: InternalAppDeps): Express {
  const app = plainApp();
  app.use(traced(deps));
  app.get(LIVE_PATH, (_request, response) => sendJson(response, 200, [JSON.stringify({ status: "live" })]));
  app.get(READY_PATH, async (_request, response) => {
    const { isReady, reasons } = await deps.readiness();
    const body = isReady ? { status: "ready" } : { status: "not ready", reasons };
    sendJson(response, isReady ? 200 : NOT_READY_STATUS, [JSON.stringify(body)]);
  });
  const { metricsText } = deps;
  if (metricsText !== undefined) {
    app.get(METRICS_PATH, async (_request, response) => {
      sendJson(response, 200, [await metricsText()], { "Content-Type": METRICS_TYPE });
    });
  }
  app.use(() => {
    throw new ClientError("M_UNRECOGNIZED", "Unrecognized request");
  });
  app.use(answerErrors(deps));
  return app;
}
