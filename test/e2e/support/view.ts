import type { JsonObject, Session } from "../../support/room-life/api.ts";

/** More rooms than a test makes. */
const ALL_ROOMS = 500;
const TIMELINE_LIMIT = 30;
/** The most that Synapse gives at once. */
const MESSAGES_LIMIT = 1_000;

interface WireEvent {
  readonly event_id: string;
  readonly type: string;
  readonly sender: string;
  readonly state_key?: string;
  readonly content: { readonly membership?: string };
}

interface WireRoom {
  readonly initial?: boolean;
  readonly invite_state?: readonly unknown[];
  readonly required_state?: readonly WireEvent[];
  readonly timeline?: readonly WireEvent[];
  readonly limited?: boolean;
}

interface WireAnswer {
  readonly pos: string;
  readonly rooms?: Readonly<Record<string, WireRoom>>;
}

/** A room as a client holds it. */
interface SeenRoom {
  kind: "invite" | "room";
  /** Newest event by type and state key. */
  readonly state: Map<string, WireEvent>;
  readonly timeline: string[];
}

const keyOf = ({ type, state_key: stateKey }: WireEvent): string => `${type}\0${stateKey}`;

/** What one device learns of its rooms through simplified sliding sync. */
export class View {
  readonly rooms = new Map<string, SeenRoom>();
  readonly #session: Session;
  readonly #connId: string;
  #pos: string | undefined;

  /** `url` is where the device syncs. */
  constructor(session: Session, connId: string) {
    this.#session = session;
    this.#connId = connId;
  }

  async sync(timeoutMs: number): Promise<void> {
    const query = new URLSearchParams({
      timeout: String(timeoutMs),
      ...(this.#pos !== undefined && { pos: this.#pos }),
    });
    const body: JsonObject = {
      conn_id: this.#connId,
      lists: {
        all: { ranges: [[0, ALL_ROOMS - 1]], timeline_limit: TIMELINE_LIMIT, required_state: [["*", "*"]] },
      },
    };
    const path = `unstable/org.matrix.simplified_msc3575/sync?${query}`;
    const answer = await this.#session.call<WireAnswer>("POST", path, body);
    this.#pos = answer.pos;
    for (const [roomId, room] of Object.entries(answer.rooms ?? {})) this.#take(roomId, room);
  }

  #take(roomId: string, room: WireRoom): void {
    const known = room.initial ? undefined : this.rooms.get(roomId);
    const seen: SeenRoom = known ?? { kind: "room", state: new Map(), timeline: [] };
    seen.kind = room.invite_state === undefined ? "room" : "invite";
    const { timeline = [], required_state: state = [] } = room;
    for (const event of timeline) if (event.state_key !== undefined) seen.state.set(keyOf(event), event);
    for (const event of state) seen.state.set(keyOf(event), event);
    if (room.limited) seen.timeline.length = 0;
    for (const { event_id: eventId } of timeline) if (!seen.timeline.includes(eventId)) seen.timeline.push(eventId);
    this.rooms.set(roomId, seen);
  }

  membership(roomId: string): string | undefined {
    const room = this.rooms.get(roomId);
    if (room === undefined || room.kind === "invite") return room?.kind;
    return room.state.get(`m.room.member\0${this.#session.userId}`)?.content.membership ?? "join";
  }
}

/** Synapse gives the same answer to the same question for two minutes: each one has another timeout, which a first sync does not wait for. */
let asked = 0;

/** What the homeserver says to a user, by a device that syncs with it directly. */
export interface Truth {
  readonly joined: ReadonlySet<string>;
  readonly invited: ReadonlySet<string>;
  /** Of joined rooms: event ids by type and state key. */
  readonly state: ReadonlyMap<string, ReadonlyMap<string, string>>;
  /** Of joined rooms: ids of what `/messages` shows, oldest first. */
  readonly timelines: ReadonlyMap<string, readonly string[]>;
}

export async function truthOf(session: Session): Promise<Truth> {
  asked += 1;
  const filter = encodeURIComponent(JSON.stringify({ room: { timeline: { limit: 1 } } }));
  const { rooms = {} } = await session.call<{ rooms?: Record<string, Record<string, unknown>> }>(
    "GET",
    `v3/sync?timeout=${asked}&filter=${filter}`,
  );
  const { joined_rooms: joined } = await session.call<{ joined_rooms: string[] }>("GET", "v3/joined_rooms");
  const state = new Map<string, ReadonlyMap<string, string>>();
  const timelines = new Map<string, readonly string[]>();
  for (const roomId of joined) {
    const events = await session.inRoom<WireEvent[]>("GET", roomId, "state");
    state.set(roomId, new Map(events.map((event) => [keyOf(event), event.event_id])));
    const { chunk } = await session.inRoom<{ chunk: WireEvent[] }>(
      "GET",
      roomId,
      `messages?dir=b&limit=${MESSAGES_LIMIT}`,
    );
    timelines.set(roomId, chunk.map(({ event_id }) => event_id).reverse());
  }
  return { joined: new Set(joined), invited: new Set(Object.keys(rooms.invite ?? {})), state, timelines };
}

const MEMBER = /^m\.room\.member\0/;

interface Comparison {
  /** false: the view may hold what was told before somebody was ignored. */
  readonly isNew: boolean;
  /** false: an invite may have come while its sender was ignored, and is told by a first sync alone. */
  readonly expectsInvites: boolean;
}

/** In words what a view has other than the homeserver; members that nobody needed may be missing from it. */
export function differences(view: View, truth: Truth, { isNew, expectsInvites }: Comparison): string[] {
  const found: string[] = [];
  for (const roomId of expectsInvites ? truth.invited : []) {
    if (view.membership(roomId) !== "invite") found.push(`${roomId}: the invite is missing`);
  }
  for (const roomId of view.rooms.keys()) {
    const membership = view.membership(roomId);
    if (membership === "join" && !truth.joined.has(roomId)) found.push(`${roomId}: the user is not in the room`);
    if (isNew && membership === "invite" && !truth.invited.has(roomId)) found.push(`${roomId}: there is no invite`);
  }
  for (const roomId of truth.joined) {
    if (view.membership(roomId) !== "join")
      found.push(`${roomId}: the joined room is missing: ${view.membership(roomId)}`);
    else found.push(...roomDifferences(roomId, view, truth, isNew));
  }
  return found;
}

function roomDifferences(roomId: string, view: View, truth: Truth, comparesTimelines: boolean): string[] {
  const found: string[] = [];
  const room = view.rooms.get(roomId);
  const state = truth.state.get(roomId) ?? new Map<string, string>();
  for (const [key, eventId] of state) {
    const seen = room?.state.get(key)?.event_id;
    if (seen === undefined ? !MEMBER.test(key) : seen !== eventId) {
      found.push(`${roomId}: state ${key.replace("\0", " ")} is ${seen}, not ${eventId}`);
    }
  }
  const messages = truth.timelines.get(roomId) ?? [];
  const timeline = (room?.timeline ?? []).slice(-MESSAGES_LIMIT);
  // As many as the view has; all when it has more.
  const end = timeline.length === 0 ? [] : messages.slice(-timeline.length);
  if (comparesTimelines && timeline.join() !== end.join()) {
    found.push(`${roomId}: the timeline is ${timeline.join(" ")}, not ${end.join(" ")}`);
  }
  return found;
}
