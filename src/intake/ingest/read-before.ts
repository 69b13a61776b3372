import type { RoomId, UserId } from "../../model/ids.ts";
import type { Tx } from "../../store/database.ts";
import { type RoomStateKey, selectKnownEvents, selectMemberships, selectStateNids } from "../../store/known-facts.ts";
import { lockRooms } from "../../store/room-rows.ts";
import type { ResponsePart } from "./part.ts";
import { type Numbers, RoomDraft } from "./room-draft.ts";

/** Locks the rooms of the parts and reads what their sections may touch. */
export async function readDrafts(
  tx: Tx,
  parts: readonly ResponsePart[],
  numbers: Numbers,
): Promise<ReadonlyMap<RoomId, RoomDraft>> {
  const sections = parts.flatMap((part) => part.sections);
  if (sections.length === 0) return new Map();
  const locked = await lockRooms(
    tx,
    sections.map(({ roomId }) => roomId),
  );
  const events = sections.flatMap(({ roomId, state, timeline }) =>
    [...state, ...timeline].map((event) => ({ roomId, event })),
  );
  const known = await selectKnownEvents(tx, [...new Set(events.map(({ event }) => event.eventId))]);
  const keys = new Map<string, RoomStateKey>();
  const users = new Set<string>(parts.map(({ source }) => source.userId));
  for (const { roomId, event } of events) {
    const room = locked.get(roomId)?.row;
    if (event.stateKey === undefined || room === undefined) continue;
    if (event.type === "m.room.member") users.add(event.stateKey);
    // Of a room that has no baseline only little can be stored; it is read all the same, since it may have been left.
    keys.set(`${room.room}\0${event.type}\0${event.stateKey}`, {
      room: room.room,
      type: event.type,
      stateKey: event.stateKey,
    });
  }
  for (const { source, sections: own } of parts) {
    for (const { roomId } of own) {
      const room = locked.get(roomId)?.row.room;
      if (room === undefined) continue;
      keys.set(`${room}\0m.room.member\0${source.userId}`, { room, type: "m.room.member", stateKey: source.userId });
    }
  }
  const state = await selectStateNids(tx, [...keys.values()]);
  const rooms = [...locked.values()].map(({ row }) => row.room);
  const memberships = await selectMemberships(tx, [...users], rooms);
  return new Map(
    [...locked].map(([roomId, { row, lastChunkAttestedFor }]) => [
      roomId,
      new RoomDraft(
        {
          row,
          lastChunkAttestedFor,
          known,
          state: state.get(row.room) ?? new Map(),
          memberships: memberships.get(row.room) ?? new Map<UserId, never>(),
        },
        numbers,
      ),
    ]),
  );
}
