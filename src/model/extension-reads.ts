import type { UserId } from "./ids.ts";
import type { StreamPosition } from "./stream-position.ts";

/** What must be read for the extensions of one answer; undefined: nothing of that kind. */
export interface ExtensionReads {
  readonly toDevice?: ToDeviceReads | undefined;
  readonly deviceLists?: DeviceListReads | undefined;
}

/** The oldest messages with a larger sequence. */
export interface ToDeviceReads {
  readonly after: number;
  readonly limit: number;
}

/** Changes in `(after, to]`. */
export interface DeviceListReads {
  readonly after: StreamPosition;
}

export interface ToDeviceMessage {
  readonly sequence: number;
  /** The whole event as raw JSON. */
  readonly body: Buffer;
}

export interface DeviceListChange {
  readonly userId: UserId;
  /** Nobody has to follow the user's devices any more; else they changed. */
  readonly hasLeft: boolean;
}

/** What was read. Of what was not wanted there is nothing. */
export interface ExtensionData {
  /** By sequence. */
  readonly toDevice: readonly ToDeviceMessage[];
  /** In the order in which it was learnt. */
  readonly deviceLists: readonly DeviceListChange[];
}
