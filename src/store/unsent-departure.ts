import { createHash } from "node:crypto";
import type { EventId, EventNid, UserId } from "../model/ids.ts";
import type { StateEvent } from "../model/stored-event.ts";
import type { StreamPosition } from "../model/stream-position.ts";

/** No event of the store has it. */
const NO_NID = 0 as EventNid;
const US_PER_MS = 1000;

/**
 * A member event for a departure that nobody sent: the homeserver lost the user's own one, or told of the departure without
 * any. Clients take a room for joined until such an event says otherwise. It is the same whenever it is read.
 */
export function unsentDeparture(
  { own_room: room, position }: { readonly own_room: number; readonly position: number },
  { userId }: { readonly userId: UserId },
): StateEvent {
  const hash = createHash("sha256").update(JSON.stringify([room, userId, position]));
  const eventId = `$${hash.digest("base64url")}` as EventId;
  // Positions are at least the clock, in microseconds.
  const originServerTsMs = Math.floor(position / US_PER_MS);
  const event = {
    type: "m.room.member",
    state_key: userId,
    sender: userId,
    event_id: eventId,
    origin_server_ts: originServerTsMs,
    content: { membership: "leave" },
  };
  return {
    nid: NO_NID,
    eventId,
    type: event.type,
    stateKey: userId,
    sender: userId,
    originServerTsMs,
    position: position as StreamPosition,
    body: Buffer.from(JSON.stringify(event)),
    unsigned: undefined,
  };
}
