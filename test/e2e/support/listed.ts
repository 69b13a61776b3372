// Lists as they go over the wire, for filters by what no client of ours is told yet.
import { setTimeout as pause } from "node:timers/promises";
import type { JsonObject, Session } from "../../support/room-life/api.ts";

/** How long a request may be held. */
const POLL_MS = 10_000;
const LOOK_MS = 50;
/** A list that is not as expected by then does not become so. */
const LISTED_WITHIN_MS = 45_000;

type Rooms = Readonly<Record<string, { is_dm?: boolean }>>;

interface Answer {
  readonly pos: string;
  readonly lists: { readonly shown: { readonly count: number } };
  readonly rooms?: Rooms;
}

const PATH = "unstable/org.matrix.simplified_msc3575/sync";

const listOf = (filters: JsonObject): JsonObject => ({
  lists: { shown: { ranges: [[0, 99]], timeline_limit: 1, required_state: [], filters } },
});

/** Asks on new connections until the list holds these rooms and no others; returns what they are like. */
export async function untilListed(session: Session, filters: JsonObject, roomIds: readonly string[]): Promise<Rooms> {
  for (const startedMs = performance.now(); ; await pause(LOOK_MS)) {
    const { lists, rooms = {} } = await session.call<Answer>("POST", `${PATH}?timeout=0`, listOf(filters));
    if (isListed(Object.keys(rooms), lists.shown.count, roomIds, startedMs)) return rooms;
  }
}

/** A connection whose requests wait for news. */
export class OpenList {
  readonly #session: Session;
  readonly #filters: JsonObject;
  readonly #shown = new Set<string>();
  #pos: string | undefined;

  constructor(session: Session, filters: JsonObject) {
    this.#session = session;
    this.#filters = filters;
  }

  /** Until just these rooms were shown, and are counted. */
  async until(roomIds: readonly string[]): Promise<void> {
    for (const startedMs = performance.now(); ; ) {
      const query = this.#pos === undefined ? "timeout=0" : `timeout=${POLL_MS}&pos=${this.#pos}`;
      const body = { conn_id: "open", ...listOf(this.#filters) };
      const { pos, lists, rooms = {} } = await this.#session.call<Answer>("POST", `${PATH}?${query}`, body);
      this.#pos = pos;
      for (const roomId of Object.keys(rooms)) this.#shown.add(roomId);
      if (isListed([...this.#shown], lists.shown.count, roomIds, startedMs)) return;
    }
  }
}

function isListed(shown: readonly string[], count: number, roomIds: readonly string[], startedMs: number): boolean {
  if (shown.toSorted().join() === roomIds.toSorted().join() && count === roomIds.length) return true;
  if (performance.now() < startedMs + LISTED_WITHIN_MS) return false;
  throw new Error(`a list shows ${shown}, counts ${count}, and should hold ${roomIds}`);
}
