// A sync client that follows all rooms of its account, and keeps what it was told as a client keeps it.
import { setTimeout as pause } from "node:timers/promises";
import type { ClientEvent, Login } from "../homeserver/robot.ts";

const SYNC_PATH = "/_matrix/client/unstable/org.matrix.simplified_msc3575/sync";
const TIMELINE_LIMIT = 100;
const POLL_MS = 30_000;
/** Wait after an answer that did not come. */
const RETRY_MS = 25;

const REQUIRED_STATE = [
  ["m.room.create", ""],
  ["m.room.name", ""],
  ["m.room.topic", ""],
  ["m.room.avatar", ""],
  ["m.room.power_levels", ""],
  ["m.room.member", "$LAZY"],
];

/** A room as the client shows it. */
export interface ClientRoom {
  /** Event ids, the oldest first: everything since the last hole that it was told of. */
  timeline: string[];
  readonly state: Map<string, string>;
  joinedCount: number | undefined;
  notificationCount: number;
  isInvite: boolean;
}

interface RoomJson {
  readonly initial?: boolean;
  readonly timeline?: readonly ClientEvent[];
  readonly limited?: boolean;
  readonly required_state?: readonly ClientEvent[];
  readonly invite_state?: readonly unknown[];
  readonly joined_count?: number;
  readonly notification_count?: number;
}

interface AnswerJson {
  readonly pos: string;
  readonly lists: { readonly all: { readonly count: number } };
  readonly rooms?: Readonly<Record<string, RoomJson>>;
}

export interface FollowingClient extends AsyncDisposable {
  readonly rooms: ReadonlyMap<string, ClientRoom>;
  /** Rooms in its list. */
  readonly count: number;
  /** How often it had to start anew. */
  readonly restarts: number;
  /** What no server may tell: doubled events, holes where there were none. */
  readonly complaints: readonly string[];
}

export function startClient(url: string, { token }: Pick<Login, "token">): FollowingClient {
  const end = new AbortController();
  const client = new Client(url, token, end.signal);
  const running = client.run();
  return {
    rooms: client.rooms,
    get count() {
      return client.count;
    },
    get restarts() {
      return client.restarts;
    },
    complaints: client.complaints,
    async [Symbol.asyncDispose]() {
      end.abort();
      await running;
    },
  };
}

class Client {
  readonly rooms = new Map<string, ClientRoom>();
  readonly complaints: string[] = [];
  count = -1;
  restarts = 0;
  readonly #url: string;
  readonly #token: string;
  readonly #signal: AbortSignal;
  #pos: string | undefined;

  constructor(url: string, token: string, signal: AbortSignal) {
    this.#url = url;
    this.#token = token;
    this.#signal = signal;
  }

  async run(): Promise<void> {
    while (!this.#signal.aborted) {
      try {
        await this.#turn();
      } catch (error) {
        if (this.#signal.aborted) return;
        // A connection that was refused or broke off. By name: under jest fetch throws what was made outside of it.
        const { name, message } = error as Error;
        if (name !== "TypeError") this.complaints.push(`${name}: ${message}`);
        await pause(RETRY_MS);
      }
    }
  }

  async #turn(): Promise<void> {
    const query = new URLSearchParams({ timeout: String(POLL_MS), ...(this.#pos !== undefined && { pos: this.#pos }) });
    const list = { ranges: [[0, 999]], timeline_limit: TIMELINE_LIMIT, required_state: REQUIRED_STATE };
    const response = await fetch(`${this.#url}${SYNC_PATH}?${query}`, {
      method: "POST",
      headers: { authorization: `Bearer ${this.#token}`, "content-type": "application/json" },
      body: JSON.stringify({ conn_id: "main", lists: { all: list } }),
      signal: this.#signal,
    });
    const json = (await response.json()) as AnswerJson & { errcode?: string; retry_after_ms?: number };
    if (response.status === 200) return this.#take(json);
    if (json.errcode === "M_UNKNOWN_POS") {
      this.restarts += 1;
      this.#pos = undefined;
    } else if (response.status === 429 || response.status >= 500) await pause(json.retry_after_ms ?? RETRY_MS);
    else this.complaints.push(`an answer of ${response.status}: ${JSON.stringify(json)}`);
  }

  #take({ pos, lists, rooms = {} }: AnswerJson): void {
    const isFirst = this.#pos === undefined;
    if (isFirst) this.rooms.clear();
    for (const [roomId, room] of Object.entries(rooms)) this.#takeRoom(roomId, room, isFirst);
    this.#pos = pos;
    this.count = lists.all.count;
  }

  #takeRoom(roomId: string, said: RoomJson, isFirst: boolean): void {
    const known = said.initial === true ? undefined : this.rooms.get(roomId);
    if (known === undefined && said.initial !== true) this.complaints.push(`${roomId} was not begun`);
    const room: ClientRoom = known ?? {
      timeline: [],
      state: new Map(),
      joinedCount: undefined,
      notificationCount: 0,
      isInvite: false,
    };
    this.rooms.set(roomId, room);
    if (known !== undefined && said.limited === true) {
      if (!isFirst) this.complaints.push(`${roomId} got a hole`);
      room.timeline = [];
    }
    for (const event of said.required_state ?? []) keep(room, event);
    for (const event of said.timeline ?? []) {
      if (room.timeline.lastIndexOf(event.event_id) >= 0)
        this.complaints.push(`${event.event_id} came twice in ${roomId}`);
      room.timeline.push(event.event_id);
      keep(room, event);
    }
    room.isInvite = said.invite_state !== undefined;
    room.joinedCount = said.joined_count ?? room.joinedCount;
    room.notificationCount = said.notification_count ?? room.notificationCount;
  }
}

function keep({ state }: ClientRoom, { type, state_key: stateKey, event_id: eventId }: ClientEvent): void {
  if (stateKey !== undefined) state.set(`${type}\0${stateKey}`, eventId);
}
