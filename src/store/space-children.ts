import type { RoomId, RoomNid } from "../model/ids.ts";
import { isSpaceChild } from "../model/room-lists.ts";
import type { Queryable } from "./database.ts";
import { KeptReads } from "./kept-reads.ts";

const SPACE_BYTES = 200;
/** An estimate that errs upwards. */
const CHILD_BYTES = 150;

const SELECT_CHILDREN = `
  SELECT s.room, s.state_key, e.body
    FROM current_state AS s JOIN events AS e ON e.nid = s.nid
   WHERE s.room = ANY($1::int[]) AND s.type = 'm.space.child'`;

interface Space {
  readonly children: ReadonlySet<RoomId>;
  readonly bytes: number;
}

/** Which rooms spaces have, of those that requests filter by, within a budget in bytes. */
export class SpaceChildren {
  readonly #spaces: KeptReads<RoomNid, Space>;

  constructor(db: Queryable, maxBytes: number) {
    this.#spaces = new KeptReads({ maxBytes, read: (spaces) => selectSpaces(db, spaces) });
  }

  /** Rooms that are in the space by its own word; undefined: it is not in memory. */
  of(space: RoomNid): ReadonlySet<RoomId> | undefined {
    return this.#spaces.get(space)?.children;
  }

  /** Reads spaces that are not in memory, or waits for who reads them. Returns what was read, whether it stays or not. */
  async load(spaces: Iterable<RoomNid>): Promise<ReadonlyMap<RoomNid, ReadonlySet<RoomId>>> {
    const read = await this.#spaces.load(spaces);
    return new Map([...read].map(([space, { children }]) => [space, children]));
  }

  /** Reads those in memory again whose state changed. The result takes them in, in one step. */
  async prepare(changed: Iterable<RoomNid>): Promise<() => void> {
    return await this.#spaces.prepare(changed);
  }
}

async function selectSpaces(db: Queryable, spaces: readonly RoomNid[]): Promise<ReadonlyMap<RoomNid, Space>> {
  const rows = await db.query<{ room: number; state_key: string; body: Buffer }>({
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
