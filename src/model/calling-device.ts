import type { DeviceId, UserId } from "./ids.ts";
import type { Forwarded } from "./upstream.ts";

/** Who a token stands for: never the token itself, which changes while the device stays. */
export interface DeviceName {
  readonly userId: UserId;
  readonly deviceId: DeviceId;
}

/** The device that makes a request, with what calls to the homeserver on its behalf need. */
export interface CallingDevice extends DeviceName {
  readonly token: string;
  /** A keyed hash of it. */
  readonly tokenHash: Buffer;
  /** The homeserver was asked about the token for this request, and accepts it. */
  readonly isTokenFresh: boolean;
  readonly forwarded: Forwarded;
}
