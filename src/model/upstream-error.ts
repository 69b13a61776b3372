import type { UpstreamFault } from "./upstream.ts";

/** A call to the homeserver failed. The message is for the log, not for clients. */
export class UpstreamError extends Error {
  override readonly name = "UpstreamError";
  readonly fault: UpstreamFault;
  /** Of an answer with an error status: its body, when that is a JSON object with an `errcode`. */
  readonly body: Buffer | undefined;

  constructor(message: string, fault: UpstreamFault, options: ErrorOptions & { readonly body?: Buffer } = {}) {
    super(message, options);
    this.fault = fault;
    this.body = options.body;
  }
}
