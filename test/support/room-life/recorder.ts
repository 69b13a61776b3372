// Takes the answers of a homeserver at marked points of the room life.
import { ApiError, type JsonObject } from "./api.ts";
import { type Actor, type Cast, PEOPLE, type Person } from "./cast.ts";

export type Snapshot = {
  /** The point of the story. */
  readonly at: string;
  readonly call: string;
  readonly answer: unknown;
};

const ROOM_TIMELINE_LIMIT = 20;
const NO_PRESENCE = { presence: { types: [] } };

const ROOM = { timeline: { limit: ROOM_TIMELINE_LIMIT } };
const ROOM_OF_SIDECAR = {
  timeline: { limit: ROOM_TIMELINE_LIMIT, unread_thread_notifications: true },
  state: { lazy_load_members: true, include_redundant_members: true },
};

type Manner = { readonly filter: JsonObject; readonly stateAfter?: boolean };

/**
 * How one may sync; the last as Slidecar does, `state_after` included where the server has it. Each is a chain of its own: its next
 * `since` is the `next_batch` of its last answer.
 */
const CHAINS: Readonly<Record<string, Manner>> = {
  full: { filter: { ...NO_PRESENCE, room: ROOM } },
  lazy: { filter: { ...NO_PRESENCE, room: { ...ROOM, state: { lazy_load_members: true } } } },
  sidecar: { filter: { ...NO_PRESENCE, room: ROOM_OF_SIDECAR }, stateAfter: true },
};

/** MSC4222 by its stable and its unstable name. */
const STATE_AFTER = { use_state_after: "true", "org.matrix.msc4222.use_state_after": "true" };

/** Who syncs on lazily, with members left out that were told before: which these are is certain for one who is in one room only. */
const LAZY_PERSON: Person = "frank";

export class Recorder {
  readonly snapshots: Snapshot[] = [];
  readonly #cast: Cast;
  readonly #tokens = new Map<string, string>();
  #points = 0;

  constructor(cast: Cast) {
    this.#cast = cast;
  }

  /** Every user's syncs in every manner: on from the last point with the main device, from nothing with the other. */
  async point(at: string): Promise<void> {
    this.#points += 1;
    for (const person of PEOPLE) {
      const actor = this.#cast[person];
      for (const [chain, manner] of Object.entries(CHAINS)) {
        if (chain !== "lazy" || person === LAZY_PERSON) await this.#goOn(at, actor, chain, manner);
      }
      for (const [chain, manner] of Object.entries(CHAINS)) {
        // Synapse answers a repeated initial sync from its cache for two minutes; another timeout is another request.
        const answer = await this.sync(actor, { ...manner, timeout: this.#points, device: "other" });
        this.#keep(at, `${person} initial ${chain}`, answer);
      }
    }
  }

  async #goOn(at: string, actor: Actor, chain: string, manner: Manner): Promise<void> {
    const key = `${actor.person} ${chain}`;
    const since = this.#tokens.get(key);
    const answer = await this.sync(actor, { ...manner, device: "main", ...(since === undefined ? {} : { since }) });
    this.#tokens.set(key, answer.next_batch);
    this.#keep(at, `${actor.person} ${since === undefined ? "first" : "next"} ${chain}`, answer);
  }

  /** One sync outside the chains, kept under `call`. */
  async extraSync(at: string, call: string, actor: Actor, options: SyncOptions): Promise<SyncAnswer> {
    const answer = await this.sync(actor, options);
    this.#keep(at, `${actor.person} ${call}`, answer);
    return answer;
  }

  /** The `since` that this chain would send next. */
  tokenOf(actor: Actor, chain: string): string {
    const token = this.#tokens.get(`${actor.person} ${chain}`);
    if (token === undefined) throw new Error(`${actor.person} has not synced ${chain} yet`);
    return token;
  }

  async sync(actor: Actor, options: SyncOptions): Promise<SyncAnswer> {
    const query = new URLSearchParams({
      filter: JSON.stringify(options.filter),
      timeout: String(options.timeout ?? 0),
      set_presence: "offline",
      ...(options.since === undefined ? {} : { since: options.since }),
      ...(options.stateAfter === true ? STATE_AFTER : {}),
      ...(options.fullState === true ? { full_state: "true" } : {}),
    });
    return actor[options.device].call("GET", `v3/sync?${query}`);
  }

  /** Any other call; an error answer is kept as well, by its status and code. */
  async read(at: string, call: string, actor: Actor, path: string): Promise<void> {
    this.#keep(at, `${actor.person} ${call}`, await answerOrError(actor, path));
  }

  #keep(at: string, call: string, answer: unknown): void {
    this.snapshots.push({ at, call, answer });
  }
}

/** What the script itself needs of an answer. */
export type SyncAnswer = {
  next_batch: string;
  rooms?: { join?: Record<string, { timeline: { prev_batch?: string } }> };
};

export type SyncOptions = {
  device: "main" | "other";
  filter: JsonObject;
  stateAfter?: boolean;
  timeout?: number;
  since?: string;
  fullState?: boolean;
};

async function answerOrError(actor: Actor, path: string): Promise<unknown> {
  try {
    return await actor.main.call("GET", path);
  } catch (error) {
    if (!(error instanceof ApiError)) throw error;
    return { status: error.status, errcode: error.errcode };
  }
}
