import type { EventId, EventNid, UserId } from "../../model/ids.ts";
import { Membership } from "../../model/membership.ts";
import type { StateEvent } from "../../model/stored-event.ts";
import type { StreamPosition } from "../../model/stream-position.ts";
import { MEMBER } from "../event-types.ts";

interface Departure {
  readonly userId: UserId;
  readonly membership: Membership;
  /** The room's number, and when the departure was learnt. */
  readonly room: number;
  readonly since: StreamPosition;
}

/**
 * The event that tells of a departure of which no event is known: state resolution took the user's membership, or an invite
 * ended unseen. Homeservers make one up, too, for invites that ended elsewhere. It is stored nowhere, and the same each time.
 */
export function madeDeparture({ userId, membership, room, since }: Departure): StateEvent {
  const eventId = `$departure-${room}-${since}` as EventId;
  const originServerTsMs = Math.floor(since / 1000);
  const content = { membership: membership === Membership.ban ? "ban" : "leave" };
  const json = { type: MEMBER, state_key: userId, sender: userId, content, event_id: eventId };
  return {
    nid: 0 as EventNid,
    eventId,
    type: MEMBER,
    stateKey: userId,
    sender: userId,
    originServerTsMs,
    position: since,
    body: Buffer.from(JSON.stringify({ ...json, origin_server_ts: originServerTsMs })),
    unsigned: undefined,
  };
}
