import type { RoomNid, UserNid } from "../model/ids.ts";

/**
 * Who is online in a room. Addressed by room number, one number where one user is: most rooms of most users hold nobody
 * else who is online, and a list of its own for each would outweigh all else that is kept of a user.
 */
export class RoomReaders {
  readonly #byRoom: (UserNid | UserNid[] | undefined)[] = [];

  addAll(user: UserNid, rooms: Iterable<RoomNid>): void {
    for (const room of rooms) this.#add(user, room);
  }

  removeAll(user: UserNid, rooms: Iterable<RoomNid>): void {
    for (const room of rooms) this.#remove(user, room);
  }

  /** Adds the readers of a room to `users`. */
  addTo(users: Set<UserNid>, room: RoomNid): void {
    const known = this.#byRoom[room];
    if (typeof known === "number") users.add(known);
    else if (known !== undefined) for (const user of known) users.add(user);
  }

  #add(user: UserNid, room: RoomNid): void {
    const known = this.#byRoom[room];
    if (known === undefined) this.#byRoom[room] = user;
    else if (typeof known === "number") this.#byRoom[room] = [known, user];
    else known.push(user);
  }

  #remove(user: UserNid, room: RoomNid): void {
    const known = this.#byRoom[room];
    if (known === user) this.#byRoom[room] = undefined;
    if (!Array.isArray(known)) return;
    const at = known.indexOf(user);
    const last = at < 0 ? undefined : known.pop();
    if (last !== undefined && at < known.length) known[at] = last;
    if (known.length === 1) this.#byRoom[room] = known[0];
  }
}
