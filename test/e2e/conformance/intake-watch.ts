import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "pg";
import type { Session } from "../../support/room-life/api.ts";
import type { Slidecar } from "../support/slidecar.ts";

const LOOK_MS = 10;
const CAUGHT_UP_WITHIN_MS = 20_000;
const MARK = "org.example.conformance";
const MARKED_AT = `
  SELECT c.position::float8 AS position
    FROM users AS u
    JOIN account_data AS a ON a.user_nid = u.user_nid AND a.room = 0 AND a.type = $2
    JOIN changes AS c ON c.batch = a.batch
   WHERE u.user_id = $1 AND a.body LIKE $3`;

/**
 * Knows when Slidecar has taken in what the homeserver had for a user: account data is stored after the rooms of the same
 * response, so that a mark which the user leaves there comes after everything that happened before.
 */
export class IntakeWatch {
  readonly #database: Client;
  readonly #slidecars: readonly Slidecar[];
  readonly #begun = new Set<string>();
  #marks = 0;

  constructor(database: Client, slidecars: readonly Slidecar[]) {
    this.#database = database;
    this.#slidecars = slidecars;
  }

  async caughtUp(session: Session): Promise<void> {
    this.#marks += 1;
    const mark = `mark-${this.#marks}-`;
    await session.setAccountData(MARK, { mark });
    await this.#begin(session);
    const values = [session.userId, MARK, Buffer.from(`%${mark}%`)];
    let position: number | undefined;
    await this.#until(async () => {
      const { rows } = await this.#database.query<{ position: number }>(MARKED_AT, values);
      position = rows[0]?.position;
      return position !== undefined;
    }, `Slidecar stores what ${session.userId} was told`);
    await this.#until(async () => {
      const metrics = await Promise.all(this.#slidecars.map((slidecar) => slidecar.metrics()));
      return metrics.every((each) => each.value("slidecar_stream_position") >= (position ?? 0));
    }, "Slidecar follows what it has stored");
  }

  /**
   * The first request of a device makes it polled. It has a connection of its own: where the first sync takes long it is answered
   * before that is stored, and shows joined rooms only.
   */
  async #begin(session: Session): Promise<void> {
    if (this.#begun.has(session.accessToken)) return;
    this.#begun.add(session.accessToken);
    const path = "unstable/org.matrix.simplified_msc3575/sync?timeout=0";
    await session.at(this.#slidecars[0]!.url).call("POST", path, { conn_id: "conformance" });
  }

  async #until(holds: () => Promise<boolean>, what: string): Promise<void> {
    for (const deadline = performance.now() + CAUGHT_UP_WITHIN_MS; !(await holds()); await pause(LOOK_MS)) {
      if (performance.now() > deadline)
        throw new Error(`in vain: ${what}\n${this.#slidecars.map((slidecar) => slidecar.logTail()).join("\n")}`);
    }
  }
}
