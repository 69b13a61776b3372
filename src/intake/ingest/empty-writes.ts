import type { RoomBefore, RoomWrites } from "../../model/room-facts.ts";

/** Nothing to be written of a room. */
export const emptyWrites = ({ row }: RoomBefore): RoomWrites => ({
  room: row.room,
  events: [],
  placed: [],
  moved: [],
  splits: [],
  emptied: [],
  chunks: [],
  started: [],
  joined: [],
  tokens: [],
  state: [],
  memberships: [],
  recalled: [],
  personal: [],
  redactions: [],
  rewritten: new Map(),
  redactedState: [],
  transactionIds: [],
});
