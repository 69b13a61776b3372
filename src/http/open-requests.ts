import type { ServerResponse } from "node:http";
import { RequestEndedError } from "../model/request-ended-error.ts";

/** Gives each request a signal that aborts with {@link RequestEndedError} when its client goes or the service shuts down. */
export class OpenRequests {
  readonly #stopping: AbortSignal;
  readonly #open = new Set<AbortController>();

  constructor(stopping: AbortSignal) {
    this.#stopping = stopping;
    // One listener for all requests: thousands wait at a time.
    stopping.addEventListener("abort", () => {
      for (const request of this.#open) request.abort(new RequestEndedError("shutdown"));
    });
  }

  signalFor(response: ServerResponse): AbortSignal {
    const request = new AbortController();
    this.#open.add(request);
    response.once("close", () => {
      this.#open.delete(request);
      if (!response.writableFinished) request.abort(new RequestEndedError("client"));
    });
    if (response.destroyed) request.abort(new RequestEndedError("client"));
    else if (this.#stopping.aborted) request.abort(new RequestEndedError("shutdown"));
    return request.signal;
  }
}
