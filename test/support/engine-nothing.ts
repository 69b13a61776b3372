// What a connection begins with, and an answer without anything.
import type { ConnectionState } from "../../src/engine/connection/state.ts";
import type { ExtensionsResponse } from "../../src/engine/response.ts";

export const NOTHING_TOLD: ConnectionState = {
  rooms: new Map(),
  lazyMembers: new Map(),
  subscriptions: new Map(),
  streams: new Map(),
  owing: { accountData: 0, receipts: 0, typing: 0 },
  accountData: undefined,
};

/** An answer to who asked for no extension. */
export const NO_EXTENSION: ExtensionsResponse = {
  toDevice: undefined,
  e2ee: undefined,
  accountData: undefined,
  receipts: undefined,
  typing: undefined,
};
