import type { Request, RequestHandler, Response } from "express";
import { pause } from "../lib/pause.ts";
import type { CallingDevice } from "../model/calling-device.ts";
import { ClientError } from "../model/client-error.ts";
import { RequestEndedError } from "../model/request-ended-error.ts";
import { TokenDoubtedError } from "../model/token-doubted-error.ts";
import { UnavailableError } from "../model/unavailable-error.ts";
import type { Dialect } from "../protocol/dialect.ts";
import type { Authenticate } from "./authenticate.ts";
import type { BadRequestDelay } from "./bad-request-delay.ts";
import { WrongMethodError } from "./client-errors.ts";
import { errorAnswer } from "./errors.ts";
import type { OpenRequests } from "./open-requests.ts";
import type { HttpDeps, SyncPort } from "./ports.ts";
import type { RateLimit } from "./rate-limit.ts";
import { readJsonObject } from "./read-json.ts";
import { forwardedOf, queryOf, tokenOf } from "./request-facts.ts";
import { sendJson } from "./send.ts";
import { traceOf } from "./trace.ts";

/** More: a homeserver that contradicts itself is asked more often. */
const MAX_DOUBTS = 3;

interface SyncRouteDeps extends Pick<HttpDeps, "metrics"> {
  readonly authenticate: Authenticate;
  readonly rateLimit: RateLimit;
  readonly badRequests: BadRequestDelay;
  readonly openRequests: OpenRequests;
  readonly sync: SyncPort;
  readonly bodyLimitBytes: number;
}

/** Serves one dialect: who asks, what is asked, the answer. */
export function syncRoute(dialect: Dialect, deps: SyncRouteDeps): RequestHandler {
  return async (request, response) => {
    const signal = deps.openRequests.signalFor(response);
    try {
      if (request.method !== "POST") throw new WrongMethodError("POST");
      const device = await callingDevice(request, response, deps);
      await unlessRepeatedlyBad(device, signal, deps, async () => {
        deps.rateLimit.take(device);
        await answer({ request, response, dialect, device, signal }, deps);
      });
    } catch (error) {
      const outcome = outcomeOf(error, signal);
      deps.metrics.syncRequests.inc({ dialect: dialect.name, outcome });
      if (outcome !== "gone") throw error;
    }
  };
}

async function callingDevice(request: Request, response: Response, deps: SyncRouteDeps): Promise<CallingDevice> {
  const token = tokenOf(request);
  if (token === undefined) throw new ClientError("M_MISSING_TOKEN", "Missing access token");
  const forwarded = forwardedOf(request);
  const { userId, deviceId, tokenHash, isFresh } = await deps.authenticate(token, forwarded);
  traceOf(response).device = { userId, deviceId };
  return { userId, deviceId, token, tokenHash, isTokenFresh: isFresh, forwarded };
}

async function answer(
  call: {
    readonly request: Request;
    readonly response: Response;
    readonly dialect: Dialect;
    readonly device: CallingDevice;
    readonly signal: AbortSignal;
  },
  { sync, authenticate, bodyLimitBytes }: SyncRouteDeps,
): Promise<void> {
  const { dialect, device, signal } = call;
  const body = await readJsonObject(call.request, bodyLimitBytes);
  const request = dialect.parse(queryOf(call.request), body, device.userId);
  const { response, pos } = await unlessDoubted(device, authenticate, (calling) =>
    sync.answer({ device: calling, dialect, request, signal }),
  );
  sendJson(call.response, 200, dialect.encode(response, pos, request));
}

/** A token may become invalid while its request waits, or have done so unnoticed: the homeserver's word counts. */
async function unlessDoubted<T>(
  device: CallingDevice,
  authenticate: Authenticate,
  work: (device: CallingDevice) => Promise<T>,
): Promise<T> {
  let calling = device;
  for (let doubts = 0; doubts < MAX_DOUBTS; doubts++) {
    try {
      return await work(calling);
    } catch (error) {
      if (!(error instanceof TokenDoubtedError)) throw error;
      await authenticate(device.token, device.forwarded, { afresh: true });
      calling = { ...device, isTokenFresh: true };
    }
  }
  throw new UnavailableError("The homeserver accepts the token and refuses what it is for; try again", 1_000);
}

/** Holds the answer back when the device keeps making the same kind of mistake. */
async function unlessRepeatedlyBad(
  device: CallingDevice,
  signal: AbortSignal,
  { badRequests }: SyncRouteDeps,
  work: () => Promise<void>,
): Promise<void> {
  try {
    await work();
    badRequests.onSuccess(device);
  } catch (error) {
    if (errorAnswer(error).status === 400) await pause(badRequests.onError(device), signal);
    throw error;
  }
}

function outcomeOf(error: unknown, signal: AbortSignal): "unknown_pos" | "rejected" | "gone" | "failed" {
  const reasons: readonly unknown[] = [error, signal.reason];
  if (reasons.some((reason) => reason instanceof RequestEndedError && reason.by === "client")) return "gone";
  const { errcode, fault } = errorAnswer(error);
  if (fault !== "client") return "failed";
  return errcode === "M_UNKNOWN_POS" ? "unknown_pos" : "rejected";
}
