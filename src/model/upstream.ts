/** Why the homeserver did not answer as it should. */
export type UpstreamFault =
  | { readonly kind: "unreachable" | "timeout" | "malformed" }
  | {
      readonly kind: "status";
      readonly status: number;
      readonly errcode: string | undefined;
      readonly retryAfterMs: number | undefined;
    };

/** What is passed on of the client's request, so that the homeserver sees its address and agent. */
export interface Forwarded {
  readonly xForwardedFor: string | undefined;
  readonly userAgent: string | undefined;
}
