import type { RoomBefore, RoomWrites } from "../../model/room-facts.ts";

/** What a draft of a room begins with. */
export const emptyWrites = ({ row }: RoomBefore): RoomWrites => ({
  room: row.room,
  events: [],
  placed: [],
  chunks: [],
  started: [],
  joined: [],
  tokens: [],
  state: [],
  memberships: [],
  personal: [],
  redactions: [],
  rewritten: new Map(),
  redactedState: [],
  transactionIds: [],
});
