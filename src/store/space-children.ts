import { ByteCache } from "../lib/byte-cache.ts";
import type { RoomId, RoomNid } from "../model/ids.ts";
import { isSpaceChild } from "../model/room-lists.ts";
import type { Queryable } from "./database.ts";

const SPACE_BYTES = 200;
/** An estimate that errs upwards. */
const CHILD_BYTES = 150;

const SELECT_CHILDREN = `
  SELECT s.room, s.state_key, e.body
    FROM current_state AS s JOIN events AS e ON e.nid = s.nid
   WHERE s.room = ANY($1::int[]) AND s.type = 'm.space.child'`;

type Spaces = ReadonlyMap<RoomNid, Space>;

interface Space {
  readonly children: ReadonlySet<RoomId>;
  readonly bytes: number;
}

/** A read under way. */
interface Load {
  /** The state of the space changed since it began. */
  isOvertaken: boolean;
}

/**
 * Which rooms spaces have, of those that requests filter by, within a budget in bytes. A read model: a space is read whole,
 * {@link prepare} reads it again when its state changed.
 */
export class SpaceChildren {
  readonly #db: Queryable;
  readonly #spaces: ByteCache<RoomNid, Space>;
  readonly #loading = new Map<RoomNid, { readonly load: Load; readonly done: Promise<Spaces> }>();

  constructor(db: Queryable, maxBytes: number) {
    this.#db = db;
    this.#spaces = new ByteCache({ maxBytes });
  }

  /** Rooms that are in the space by its own word; undefined: it is not in memory. */
  of(space: RoomNid): ReadonlySet<RoomId> | undefined {
    return this.#spaces.get(space)?.children;
  }

  /** Reads spaces that are not in memory, or waits for who reads them. Returns what was read, whether it stays or not. */
  async load(spaces: Iterable<RoomNid>): Promise<ReadonlyMap<RoomNid, ReadonlySet<RoomId>>> {
    const missing = [...spaces].filter((space) => this.of(space) === undefined);
    const running = missing.flatMap((space) => this.#loading.get(space)?.done ?? []);
    const unread = missing.filter((space) => !this.#loading.has(space));
    const read = await Promise.all([...running, this.#load(unread)]);
    return new Map(read.flatMap((each) => [...each]).map(([space, { children }]) => [space, children]));
  }

  /** Reads those in memory again whose state changed. The result takes them in, in one step. */
  async prepare(changed: Iterable<RoomNid>): Promise<() => void> {
    const stale: RoomNid[] = [];
    for (const room of changed) {
      const running = this.#loading.get(room);
      if (running !== undefined) running.load.isOvertaken = true;
      if (this.#spaces.peek(room) !== undefined) stale.push(room);
    }
    const spaces = await this.#select(stale);
    return () => {
      for (const [room, space] of spaces) if (this.#spaces.peek(room) !== undefined) this.#spaces.set(room, space);
    };
  }

  async #load(spaces: readonly RoomNid[]): Promise<Spaces> {
    if (spaces.length === 0) return new Map();
    const load = { isOvertaken: false };
    const done = this.#read(spaces, load);
    for (const space of spaces) this.#loading.set(space, { load, done });
    try {
      return await done;
    } finally {
      for (const space of spaces) this.#loading.delete(space);
    }
  }

  /** A change that comes while spaces are read may be missing from them, so they are read again until none did. */
  async #read(spaces: readonly RoomNid[], load: Load): Promise<Spaces> {
    for (;;) {
      const read = await this.#select(spaces);
      if (!load.isOvertaken) {
        for (const [space, own] of read) this.#spaces.set(space, own);
        return read;
      }
      load.isOvertaken = false;
    }
  }

  async #select(spaces: readonly RoomNid[]): Promise<Spaces> {
    if (spaces.length === 0) return new Map();
    const rows = await this.#db.query<{ room: number; state_key: string; body: Buffer }>({
      name: "space-children",
      text: SELECT_CHILDREN,
      values: [spaces],
    });
    const byRoom = Map.groupBy(rows, ({ room }) => room as RoomNid);
    return new Map(
      spaces.map((space) => {
        const children = (byRoom.get(space) ?? []).filter(({ body }) => isSpaceChild(body));
        const ids = new Set(children.map(({ state_key: id }) => id as RoomId));
        return [space, { children: ids, bytes: SPACE_BYTES + CHILD_BYTES * ids.size }] as const;
      }),
    );
  }
}
