import type { RoomNid, UserNid } from "../model/ids.ts";

/** Room for so many rooms at first; it doubles from there. */
const INITIAL_ROOMS = 1024;
const NOBODY = 0;
const MANY = -1;

/**
 * Who is online in a room. One number for each room, addressed by its number: in most rooms of most users nobody else is
 * online, and a list for each would outweigh all that is kept of a user.
 */
export class RoomReaders {
  /** The one user, {@link NOBODY}, or {@link MANY}. */
  #one = new Int32Array(INITIAL_ROOMS);
  readonly #many = new Map<RoomNid, UserNid[]>();

  addAll(user: UserNid, rooms: Iterable<RoomNid>): void {
    for (const room of rooms) this.#add(user, room);
  }

  removeAll(user: UserNid, rooms: Iterable<RoomNid>): void {
    for (const room of rooms) this.#remove(user, room);
  }

  /** Adds the readers of a room to `users`. */
  addTo(users: Set<UserNid>, room: RoomNid): void {
    const one = this.#one[room] ?? NOBODY;
    if (one > NOBODY) users.add(one as UserNid);
    if (one === MANY) for (const user of this.#many.get(room) ?? []) users.add(user);
  }

  #add(user: UserNid, room: RoomNid): void {
    this.#reach(room);
    const one = this.#one[room] ?? NOBODY;
    if (one === NOBODY) {
      this.#one[room] = user;
    } else if (one === MANY) {
      this.#many.get(room)?.push(user);
    } else {
      this.#one[room] = MANY;
      this.#many.set(room, [one as UserNid, user]);
    }
  }

  #remove(user: UserNid, room: RoomNid): void {
    if (this.#one[room] === user) this.#one[room] = NOBODY;
    const many = this.#many.get(room);
    const at = many?.indexOf(user) ?? -1;
    if (many === undefined || at < 0) return;
    const last = many.pop();
    if (last !== undefined && at < many.length) many[at] = last;
    if (many.length > 1) return;
    this.#many.delete(room);
    this.#one[room] = many[0] ?? NOBODY;
  }

  #reach(room: number): void {
    if (room < this.#one.length) return;
    const grown = new Int32Array(Math.max(room + 1, this.#one.length * 2));
    grown.set(this.#one);
    this.#one = grown;
  }
}
