// Events as a homeserver's `/sync` gives them, for bodies that tests write by hand.

export interface V2Event {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly origin_server_ts: number;
  readonly content: object;
  readonly state_key?: string;
  readonly unsigned?: object;
}

export const ALICE = "@alice:test";
export const BOB = "@bob:test";
export const CAROL = "@carol:test";

/** A message of Alice's, unless `more` says otherwise. */
export function message(eventId: string, more: Partial<V2Event> = {}): V2Event {
  const content = { msgtype: "m.text", body: eventId };
  return { event_id: eventId, type: "m.room.message", sender: ALICE, origin_server_ts: 1_000, content, ...more };
}

export const messages = (...eventIds: readonly string[]): readonly V2Event[] => eventIds.map((id) => message(id));

export function state(eventId: string, type: string, content: object = {}, more: Partial<V2Event> = {}): V2Event {
  return message(eventId, { type, content, state_key: "", ...more });
}

/** By the user themselves, unless `more` says otherwise. */
export function member(eventId: string, userId: string, membership: string, more: Partial<V2Event> = {}): V2Event {
  return state(eventId, "m.room.member", { membership }, { state_key: userId, sender: userId, ...more });
}

export const create = (eventId = "$create"): V2Event => state(eventId, "m.room.create", { room_version: "11" });
export const name = (eventId: string, text: string): V2Event => state(eventId, "m.room.name", { name: text });
export const visibility = (eventId: string, history_visibility: string): V2Event =>
  state(eventId, "m.room.history_visibility", { history_visibility });

/** What `rooms.join.X` and `rooms.leave.X` say, with the parts that are always there. */
export function inRoom(timeline: readonly V2Event[], more: RoomParts = {}): object {
  const { state: before, after, limited = false, prevBatch, ...rest } = more;
  const token = prevBatch === undefined ? {} : { prev_batch: prevBatch };
  return {
    timeline: { events: timeline, limited, ...token },
    ...(before === undefined ? {} : { state: { events: before } }),
    ...(after === undefined ? {} : { state_after: { events: after } }),
    ...rest,
  };
}

export interface RoomParts {
  readonly state?: readonly V2Event[];
  readonly after?: readonly V2Event[];
  readonly limited?: boolean;
  readonly prevBatch?: string;
  readonly summary?: object;
  readonly unread_notifications?: object;
  readonly unread_thread_notifications?: object;
  readonly ephemeral?: { readonly events: readonly object[] };
  readonly account_data?: { readonly events: readonly object[] };
}
