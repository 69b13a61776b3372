import { setTimeout as pause } from "node:timers/promises";
import type { Client } from "pg";
import type { Session } from "../../support/room-life/api.ts";
import type { Slidecar } from "../support/slidecar.ts";

const LOOK_MS = 10;
const CAUGHT_UP_WITHIN_MS = 20_000;
const SINCE = `
  SELECT d.since
    FROM users AS u JOIN devices AS d ON d.user_nid = u.user_nid
   WHERE u.user_id = $1 AND d.device_id = $2 AND d.is_synced`;
const HEAD = "SELECT position::float8 AS position FROM stream_head";

interface V2Answer {
  readonly account_data?: { readonly events?: readonly unknown[] };
  readonly to_device?: { readonly events?: readonly unknown[] };
  readonly device_lists?: Readonly<Record<string, readonly unknown[]>>;
  readonly rooms?: Readonly<Record<string, Readonly<Record<string, unknown>>>>;
}

/**
 * Knows when Slidecar has taken in what the homeserver had for a device: when v2 `/sync` has nothing to tell after the place
 * from which Slidecar goes on. That leaves nothing behind that an answer could show, as a mark in account data would. Counts of
 * keys are no news to v2: they come with the next thing that it tells.
 */
export class IntakeWatch {
  readonly #database: Client;
  readonly #slidecars: readonly Slidecar[];
  readonly #begun = new Set<string>();
  #looks = 0;

  constructor(database: Client, slidecars: readonly Slidecar[]) {
    this.#database = database;
    this.#slidecars = slidecars;
  }

  async caughtUp(session: Session): Promise<void> {
    await this.#begin(session);
    await this.#until(async () => {
      const since = await this.#since(session);
      return since !== undefined && (await this.#isAllTold(session, since));
    }, `Slidecar stores what ${session.userId} was told`);
    const { rows } = await this.#database.query<{ position: number }>(HEAD);
    const { position } = rows[0]!;
    await this.#until(async () => {
      const metrics = await Promise.all(this.#slidecars.map((slidecar) => slidecar.metrics()));
      return metrics.every((each) => each.value("slidecar_stream_position") >= position);
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

  /** Where the device's stream goes on; undefined: its first sync is not stored. */
  async #since({ userId, deviceId }: Session): Promise<string | undefined> {
    const { rows } = await this.#database.query<{ since: string }>(SINCE, [userId, deviceId]);
    return rows[0]?.since;
  }

  /** The device itself may ask: what it would acknowledge is stored. */
  async #isAllTold(session: Session, since: string): Promise<boolean> {
    const query = { since, timeout: "0", set_presence: "offline", filter: this.#nextFilter() };
    const answer = await session.call<V2Answer>("GET", `v3/sync?${new URLSearchParams(query)}`);
    const { account_data: accountData, to_device: toDevice, device_lists: lists = {}, rooms = {} } = answer;
    const told = [
      accountData?.events,
      toDevice?.events,
      ...Object.values(lists),
      ...Object.values(rooms).map(Object.keys),
    ];
    return told.every((each = []) => each.length === 0);
  }

  /**
   * A question that was not asked before, since Synapse gives the same answer to the same one for two minutes. Without lazy
   * members: Synapse would take those for known to the device.
   */
  #nextFilter(): string {
    this.#looks += 1;
    return JSON.stringify({ presence: { types: [] }, room: { timeline: { limit: this.#looks } } });
  }

  async #until(holds: () => Promise<boolean>, what: string): Promise<void> {
    for (const deadline = performance.now() + CAUGHT_UP_WITHIN_MS; !(await holds()); await pause(LOOK_MS)) {
      if (performance.now() > deadline)
        throw new Error(`in vain: ${what}\n${this.#slidecars.map((slidecar) => slidecar.logTail()).join("\n")}`);
    }
  }
}
