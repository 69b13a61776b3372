/**
 * Why the signal of a client's request aborted; its `reason`. Of a client that has gone nothing may be saved; at shutdown
 * the wait for news is over and the request is answered with what there is.
 */
export class RequestEndedError extends Error {
  override readonly name = "RequestEndedError";
  readonly by: "client" | "shutdown";

  constructor(by: "client" | "shutdown") {
    super(by === "shutdown" ? "Slidecar is shutting down" : "The client has gone");
    this.by = by;
  }
}
