// Alice's room with Bob in it, and where the stays of its members begin and end.
import type { UserId, UserNid } from "../../src/model/ids.ts";
import { Membership } from "../../src/model/membership.ts";
import type { StreamPosition } from "../../src/model/stream-position.ts";
import { DraftedRoom, seen } from "./drafted-room.ts";
import { ALICE, BOB, create, inRoom, member } from "./v2-events.ts";

export const bobs = { userNid: 2 as UserNid, userId: BOB as UserId };
/** As it goes on after {@link shared}. */
export const goesOn = { ...bobs, ...seen("$bob") };
/** A request that was sent before anything was stored. */
export const stale = { storedBefore: 0 as StreamPosition };

export const kick = (eventId: string, userId = BOB) => member(eventId, userId, "leave", { sender: ALICE });
export const ban = (eventId: string) => member(eventId, BOB, "ban", { sender: ALICE });

/** Alice's room, in which Bob is. */
export function shared(): DraftedRoom {
  const room = new DraftedRoom();
  room.fold("join", inRoom([create(), member("$alice", ALICE, "join"), member("$bob", BOB, "join")]));
  room.fold(
    "join",
    inRoom([member("$alice", ALICE, "join"), member("$bob", BOB, "join")], { state: [create()] }),
    bobs,
  );
  return room;
}

export const membershipOf = (room: DraftedRoom, userId: string) => room.memberships.get(userId as UserId);

/** A user's membership with the event that it comes from and the event that it began with. */
export function shown(room: DraftedRoom, userId = BOB): readonly (string | undefined)[] {
  const row = membershipOf(room, userId);
  const ids = [...room.events.values()];
  return [
    Object.entries(Membership).find(([, value]) => value === row?.membership)?.[0],
    ids.find(({ nid }) => nid === row?.nid)?.eventId,
    ids.find(({ orderKey }) => orderKey !== undefined && orderKey === row?.sinceOrderKey)?.eventId,
  ];
}
