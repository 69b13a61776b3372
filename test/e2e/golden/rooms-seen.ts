import type { Answer, WireRoom } from "../conformance/answer.ts";

interface SeenRoom {
  readonly isInvite: boolean;
  /** The newest events without a hole, oldest first. */
  readonly events: readonly string[];
}

/**
 * The rooms of an app as its answers made them. Throws where the app would show something twice: a room that begins anew, an
 * event that comes again and is not part of a timeline that was asked for anew.
 */
export class RoomsSeen {
  readonly #rooms = new Map<string, SeenRoom>();

  add({ rooms = {} }: Answer): void {
    for (const [roomId, room] of Object.entries(rooms)) {
      const before = this.#rooms.get(roomId);
      const isInvite = room.invite_state !== undefined;
      const isNew = before === undefined || before.isInvite !== isInvite;
      if ((room.initial === true) !== isNew) {
        throw new Error(`${roomId} is ${isNew ? "new" : "known"} to the app: ${JSON.stringify(room)}`);
      }
      this.#rooms.set(roomId, { isInvite, events: eventsAfter(before?.events ?? [], room, roomId) });
    }
  }

  /** Rooms that the app knows, sorted. */
  get roomIds(): readonly string[] {
    return [...this.#rooms.keys()].toSorted();
  }

  /** The newest events of a room without a hole, oldest first. */
  timeline(roomId: string): readonly string[] {
    return this.#rooms.get(roomId)?.events ?? [];
  }
}

function eventsAfter(before: readonly string[], room: WireRoom, roomId: string): readonly string[] {
  const came = (room.timeline ?? []).map(({ event_id: id }) => id);
  if (room.initial === true || room.unstable_expanded_timeline === true) return came;
  const again = came.filter((id) => before.includes(id));
  if (again.length > 0) throw new Error(`events of ${roomId} came again: ${again.join(" ")}`);
  return room.limited === true ? came : [...before, ...came];
}
