import type { RoomId, RoomNid, UserId, UserNid } from "../model/ids.ts";
import { Membership } from "../model/membership.ts";
import type { StreamPosition } from "../model/stream-position.ts";
import type { Queryable } from "./database.ts";

export interface ReaderRow {
  readonly room: number;
  readonly membership: number;
  readonly is_own_choice: boolean;
  readonly changed: number | null;
  readonly since: number | null;
  readonly since_order_key: number | null;
  readonly notification_count: number;
  readonly highlight_count: number;
  readonly heroes: string[] | null;
  readonly stripped: Buffer | null;
}

// The batches of a reader's rooms are few (a long response puts thousands of rooms in one), so their positions are looked
// up once each rather than once per room.
const SELECT_READER_ROOMS = `
  WITH m AS MATERIALIZED (
    SELECT * FROM memberships WHERE user_nid = $1 AND ($2::int[] IS NULL OR room = ANY($2))
  ), p AS MATERIALIZED (
    SELECT c.batch, c.position
      FROM (SELECT batch FROM m UNION SELECT since_batch FROM m UNION SELECT counts_batch FROM m) AS b
      JOIN changes AS c USING (batch)
  )
  SELECT m.room, m.membership, m.sender = (SELECT user_id FROM users WHERE user_nid = $1) AS is_own_choice,
         GREATEST(b.position, k.position) AS changed, s.position AS since, m.since_order_key, m.notification_count,
         m.highlight_count, m.heroes, m.stripped
    FROM m
    LEFT JOIN p AS b ON b.batch = m.batch
    LEFT JOIN p AS k ON k.batch = m.counts_batch
    LEFT JOIN p AS s ON s.batch = m.since_batch
   ORDER BY m.room`;

/** A reader's rooms as stored, or some of them, by room number. */
export async function selectReaderRooms(
  db: Queryable,
  userNid: UserNid,
  rooms: readonly RoomNid[] | undefined,
): Promise<readonly ReaderRow[]> {
  return await db.query<ReaderRow>({
    name: "reader-rooms",
    text: SELECT_READER_ROOMS,
    values: [userNid, rooms ?? null],
  });
}

const IS_OWN_CHOICE = 8;
const MEMBERSHIP_MASK = 7;
const NO_ORDER_KEY = Number.NEGATIVE_INFINITY;
const NO_HEROES: readonly UserId[] = [];

/**
 * The rooms of one user that is online, in memory: parallel columns by room number, about 30 bytes a room; what few rooms
 * have (heroes, counts, stripped state) in maps. A read model: made from all rows, {@link apply} takes some of them again.
 */
export class ReaderRooms {
  #rooms = new Int32Array(0);
  #flags = new Uint8Array(0);
  #changed = new Float64Array(0);
  #since = new Float64Array(0);
  #orderKeys = new Float64Array(0);
  readonly #counts = new Map<number, { readonly notifications: number; readonly highlights: number }>();
  readonly #heroes = new Map<number, readonly UserId[]>();
  readonly #stripped = new Map<number, Buffer>();
  readonly #findRoom: (roomId: RoomId) => RoomNid | undefined;

  constructor(rows: readonly ReaderRow[], findRoom: (roomId: RoomId) => RoomNid | undefined) {
    this.#findRoom = findRoom;
    this.#allot(rows.length);
    rows.forEach((row, index) => {
      this.#set(index, row);
    });
  }

  get size(): number {
    return this.#rooms.length;
  }

  /** Takes rows again that changed, or that are new. */
  apply(rows: readonly ReaderRow[]): void {
    const added = rows.filter((row) => this.indexOf(row.room as RoomNid) < 0);
    if (added.length > 0) this.#insert(added);
    for (const row of rows) this.#set(this.indexOf(row.room as RoomNid), row);
  }

  *rooms(): Generator<RoomNid> {
    for (const room of this.#rooms) yield room as RoomNid;
  }

  room(index: number): RoomNid {
    return (this.#rooms[index] ?? 0) as RoomNid;
  }

  membership(index: number): Membership {
    return ((this.#flags[index] ?? Membership.leave) & MEMBERSHIP_MASK) as Membership;
  }

  changedAt(index: number): StreamPosition {
    return (this.#changed[index] ?? 0) as StreamPosition;
  }

  since(index: number): StreamPosition {
    return (this.#since[index] ?? 0) as StreamPosition;
  }

  hasLeftByChoice(index: number): boolean {
    return this.membership(index) === Membership.leave && ((this.#flags[index] ?? 0) & IS_OWN_CHOICE) !== 0;
  }

  sinceOrderKey(index: number): number | undefined {
    const orderKey = this.#orderKeys[index] ?? NO_ORDER_KEY;
    return orderKey === NO_ORDER_KEY ? undefined : orderKey;
  }

  notificationCount(index: number): number {
    return this.#counts.get(this.room(index))?.notifications ?? 0;
  }

  highlightCount(index: number): number {
    return this.#counts.get(this.room(index))?.highlights ?? 0;
  }

  heroes(index: number): readonly UserId[] {
    return this.#heroes.get(this.room(index)) ?? NO_HEROES;
  }

  strippedState(index: number): Buffer | undefined {
    return this.#stripped.get(this.room(index));
  }

  /** Binary search; -1: none. */
  indexOf(room: RoomNid): number {
    let low = 0;
    let high = this.#rooms.length - 1;
    while (low <= high) {
      const middle = (low + high) >> 1;
      const found = this.#rooms[middle] ?? 0;
      if (found === room) return middle;
      if (found < room) low = middle + 1;
      else high = middle - 1;
    }
    return -1;
  }

  findRoom(roomId: RoomId): RoomNid | undefined {
    const room = this.#findRoom(roomId);
    return room !== undefined && this.indexOf(room) >= 0 ? room : undefined;
  }

  #allot(size: number): void {
    this.#rooms = new Int32Array(size);
    this.#flags = new Uint8Array(size);
    this.#changed = new Float64Array(size);
    this.#since = new Float64Array(size);
    this.#orderKeys = new Float64Array(size);
  }

  #set(index: number, row: ReaderRow): void {
    this.#rooms[index] = row.room;
    this.#flags[index] = row.membership | (row.is_own_choice ? IS_OWN_CHOICE : 0);
    this.#changed[index] = row.changed ?? 0;
    this.#since[index] = row.since ?? 0;
    this.#orderKeys[index] = row.since_order_key ?? NO_ORDER_KEY;
    const counts = { notifications: row.notification_count, highlights: row.highlight_count };
    keep(this.#counts, row.room, counts.notifications + counts.highlights > 0 ? counts : undefined);
    keep(this.#heroes, row.room, row.heroes?.length ? (row.heroes as UserId[]) : undefined);
    keep(this.#stripped, row.room, row.stripped ?? undefined);
  }

  /** Makes place for rooms that are new: rare, so that the columns are simply copied. */
  #insert(added: readonly ReaderRow[]): void {
    const old = {
      rooms: this.#rooms,
      flags: this.#flags,
      changed: this.#changed,
      since: this.#since,
      keys: this.#orderKeys,
    };
    const fresh = added.map(({ room }) => room).sort((a, b) => a - b);
    this.#allot(old.rooms.length + fresh.length);
    let from = 0;
    let next = 0;
    for (let to = 0; to < this.#rooms.length; to += 1) {
      const room = old.rooms[from] ?? Number.POSITIVE_INFINITY;
      const other = fresh[next] ?? Number.POSITIVE_INFINITY;
      if (other < room) {
        this.#rooms[to] = other;
        next += 1;
      } else {
        this.#rooms[to] = room;
        this.#flags[to] = old.flags[from] ?? 0;
        this.#changed[to] = old.changed[from] ?? 0;
        this.#since[to] = old.since[from] ?? 0;
        this.#orderKeys[to] = old.keys[from] ?? NO_ORDER_KEY;
        from += 1;
      }
    }
  }
}

function keep<Value>(map: Map<number, Value>, key: number, value: Value | undefined): void {
  if (value === undefined) map.delete(key);
  else map.set(key, value);
}
