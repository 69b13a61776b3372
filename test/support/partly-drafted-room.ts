import type { UserId, UserNid } from "../../src/model/ids.ts";
import { DraftedRoom } from "./drafted-room.ts";
import { BOB, create, inRoom, member, messages } from "./v2-events.ts";

/** Whose stream it is that is not Alice's. */
export const bobs = { userNid: 2 as UserNid, userId: BOB as UserId };

/** A room of which only the end is known, in which Alice and Bob are. */
export function partly(...eventIds: string[]): DraftedRoom {
  const room = new DraftedRoom();
  room.fold("join", inRoom(messages(...eventIds), { limited: true, state: [create()] }), { poll: "first" });
  room.fold("join", inRoom([], { state: [member("$bob", BOB, "join")] }), bobs);
  return room;
}
