import type { Readable } from "node:stream";
import type { DeviceId, UserId } from "./ids.ts";
import type { Forwarded } from "./upstream.ts";

/** Whom an access token stands for, as the homeserver says (`GET /account/whoami`). */
export type Whoami =
  | {
      readonly kind: "known";
      readonly userId: UserId;
      /** `""`: the token has no device. */
      readonly deviceId: DeviceId;
      readonly isGuest: boolean;
    }
  | {
      /** 401 or 403: the client has to be told so in the homeserver's own words. */
      readonly kind: "refused";
      readonly status: number;
      readonly errcode: string;
      readonly body: Buffer;
    };

/** Header names are in lower case; a header that occurs several times has several values. */
export type UpstreamHeaders = Readonly<Record<string, string | readonly string[] | undefined>>;

export interface VersionsAnswer {
  readonly status: number;
  readonly headers: UpstreamHeaders;
  readonly body: Buffer;
  /** The body parsed; undefined when it is not JSON. */
  readonly json: unknown;
}

/** A client's request as it is passed on. */
export interface PassedRequest {
  readonly method: string;
  /** Path and query as the client wrote them; begins with a slash. */
  readonly target: string;
  /** Names and values by turns, as they arrived. */
  readonly rawHeaders: readonly string[];
  /** undefined: the request has none. It is read to its end or until the answer is there, and not destroyed. */
  readonly body: Readable | undefined;
  readonly forwarded: Forwarded;
  readonly signal: AbortSignal;
}

/** The homeserver's answer to a request that was passed on. */
export interface PassedAnswer {
  readonly status: number;
  /** Without those that concern one connection only. */
  readonly headers: UpstreamHeaders;
  /** To be read to its end, or destroyed. */
  readonly body: Readable;
}

/** The homeserver, as far as requests of clients need it. All methods throw `UpstreamError`. */
export interface ClientUpstream {
  whoami(token: string, forwarded: Forwarded): Promise<Whoami>;
  /** `authorization`: value of the header of that name. Answers of any status are returned. */
  versions(authorization: string | undefined, forwarded: Forwarded): Promise<VersionsAnswer>;
  /** Sends a request on, unchanged but for headers that concern one connection only and `X-Forwarded-For`. */
  pass(request: PassedRequest): Promise<PassedAnswer>;
}
