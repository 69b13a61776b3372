import { Semaphore } from "../../lib/semaphore.ts";
import type { UserNid } from "../../model/ids.ts";

/** Places for work that is done for users: so many in all, and so many of one user, so that nobody takes all. */
export class UserPlaces {
  readonly #all: Semaphore;
  readonly #ofUser: number;
  /** Of users for whom something is done, or waits. */
  readonly #users = new Map<UserNid, { readonly places: Semaphore; works: number }>();

  constructor(all: number, ofUser: number) {
    this.#all = new Semaphore(all);
    this.#ofUser = ofUser;
  }

  /** Runs `work` when there is a place; not any more once `signal` has aborted. */
  async run(userNid: UserNid, work: () => Promise<void>, signal: AbortSignal): Promise<void> {
    const own = this.#users.get(userNid) ?? { places: new Semaphore(this.#ofUser), works: 0 };
    this.#users.set(userNid, own);
    own.works += 1;
    try {
      await own.places.run(() => this.#all.run(work, signal), signal);
    } finally {
      own.works -= 1;
      if (own.works === 0) this.#users.delete(userNid);
    }
  }
}
