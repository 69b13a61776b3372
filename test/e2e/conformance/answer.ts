// An answer of the simplified dialect as it stands on the wire, and how rows look at it.

export interface WireEvent {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export interface WireRoom {
  readonly initial?: boolean;
  readonly name?: string | null;
  readonly avatar?: string | null;
  readonly heroes?: readonly { readonly user_id: string; readonly displayname?: string }[];
  readonly is_dm?: boolean;
  readonly invite_state?: readonly WireEvent[];
  readonly required_state?: readonly WireEvent[];
  readonly timeline?: readonly WireEvent[];
  readonly limited?: boolean;
  readonly prev_batch?: string;
  readonly num_live?: number;
  readonly bump_stamp?: number;
  readonly joined_count?: number;
  readonly invited_count?: number;
  readonly unstable_expanded_timeline?: boolean;
}

/** What is no event of a room: it has neither id nor, most of it, a sender. */
export interface WireDatum {
  readonly type: string;
  readonly sender?: string;
  readonly content: Readonly<Record<string, unknown>>;
}

export interface WireExtensions {
  readonly to_device?: { readonly next_batch: string; readonly events?: readonly WireDatum[] };
  readonly e2ee?: {
    readonly device_lists?: { readonly changed: readonly string[]; readonly left: readonly string[] };
    readonly device_one_time_keys_count?: Readonly<Record<string, number>>;
    readonly device_unused_fallback_key_types?: readonly string[];
  };
  readonly account_data?: {
    readonly global?: readonly WireDatum[];
    readonly rooms?: Readonly<Record<string, readonly WireDatum[]>>;
  };
  readonly receipts?: { readonly rooms?: Readonly<Record<string, WireDatum>> };
  readonly typing?: { readonly rooms?: Readonly<Record<string, WireDatum>> };
}

export interface Answer {
  readonly pos: string;
  readonly extensions?: WireExtensions;
  readonly lists?: Readonly<
    Record<
      string,
      { readonly count: number; readonly ops?: readonly { op: string; range: number[]; room_ids: string[] }[] }
    >
  >;
  readonly rooms?: Readonly<Record<string, WireRoom>>;
}

/** What an answer says of a room; throws when it says nothing. */
export function roomIn(answer: Answer, roomId: string): WireRoom {
  const room = answer.rooms?.[roomId];
  if (room === undefined) throw new Error(`${roomId} is not in the answer: ${JSON.stringify(answer)}`);
  return room;
}

/** Which rooms an answer says something of, sorted. */
export const roomIdsIn = ({ rooms = {} }: Answer): readonly string[] => Object.keys(rooms).toSorted();

/** Ids of a room's timeline, oldest first. */
export const timelineOf = (answer: Answer, roomId: string): readonly string[] =>
  (roomIn(answer, roomId).timeline ?? []).map(({ event_id: id }) => id);

/** Ids of a room's `required_state`, sorted: their order says nothing. */
export const stateOf = (answer: Answer, roomId: string): readonly string[] =>
  idsOf(roomIn(answer, roomId).required_state);

/** Ids of events, sorted. */
export const idsOf = (events: readonly WireEvent[] = []): readonly string[] =>
  events.map(({ event_id: id }) => id).toSorted();

/** `type state_key` of a room's `required_state`, sorted. */
export const stateKeysOf = (answer: Answer, roomId: string): readonly string[] =>
  (roomIn(answer, roomId).required_state ?? []).map(({ type, state_key: key }) => `${type} ${key}`.trim()).toSorted();

export const countOf = (answer: Answer, list = "foo-list"): number | undefined => answer.lists?.[list]?.count;

/** Rooms in a list's only window, in its order. */
export function windowOf(answer: Answer, list = "foo-list"): readonly string[] {
  const [op, ...more] = answer.lists?.[list]?.ops ?? [];
  if (op?.op !== "SYNC" || more.length > 0) throw new Error(`${list} has not one window: ${JSON.stringify(answer)}`);
  return op.room_ids;
}

/** What a room's entry says of the room as a whole. Deliberately without `bump_stamp` and unread counts. */
export function metaOf(answer: Answer, roomId: string): Partial<WireRoom> {
  const { initial, name, avatar, heroes, is_dm, joined_count, invited_count } = roomIn(answer, roomId);
  const meta = { initial, name, avatar, heroes, is_dm, joined_count, invited_count };
  return Object.fromEntries(Object.entries(meta).filter(([, value]) => value !== undefined));
}
