// What a row needs: users of a homeserver, and the server whose sliding sync is tried.
import { register } from "../../support/room-life/api.ts";
import { Person } from "./person.ts";
import type { Target } from "./target.ts";

const PASSWORD = "correct horse";

/** The world of one row: nobody else knows its users. */
export class World {
  readonly target: Target;
  readonly #row: number;
  #users = 0;

  constructor(target: Target, row: number) {
    this.target = target;
    this.#row = row;
  }

  /** A new user with one device, who is in no room. The name is a hint for who reads logs. */
  async user(name = "user"): Promise<Person> {
    this.#users += 1;
    const localpart = `${name}-${this.#row}-${this.#users}`;
    return new Person(this.target, await register(this.target.homeserverUrl, localpart, PASSWORD));
  }

  /** The user whose sliding sync is tried, and another. */
  async pair(): Promise<readonly [user1: Person, user2: Person]> {
    return [await this.user("user1"), await this.user("user2")];
  }
}
