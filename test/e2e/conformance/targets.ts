// The two servers that each row is tried on: Synapse's own sliding sync, and Slidecar before a Synapse without one.
import { setTimeout as pause } from "node:timers/promises";
import { Client } from "pg";
import { startKeeper } from "../../support/cluster.ts";
import { databaseUrl } from "../../support/database-url.ts";
import type { Session } from "../../support/room-life/api.ts";
import { type Slidecar, type SlidecarOptions, startSlidecar } from "../support/slidecar.ts";
import { startSynapse } from "../support/synapse.ts";
import type { Target } from "./target.ts";

const LOOK_MS = 10;
const CAUGHT_UP_WITHIN_MS = 20_000;
const DATABASE = "conformance";

export type StartedTarget = Target & AsyncDisposable;

/** A Synapse with its own sliding sync on. */
export async function startNative(): Promise<StartedTarget> {
  const synapse = await startSynapse({ native: true });
  return {
    name: "Synapse",
    homeserverUrl: synapse.url,
    syncUrl: synapse.url,
    excludeRooms: (excludedRooms) => synapse.restart({ excludedRooms }),
    // Who was answered by it finds everything in it.
    caughtUp: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => synapse.stop(),
  };
}

/** A Synapse with its own sliding sync off, and Slidecar before it. */
export const startFronted = (): Promise<StartedTarget> => startReplicas(1, { sync: { simplified_ops: true } });

export type StartedReplicas = StartedTarget & {
  /** Where each of them serves clients. */
  readonly replicaUrls: readonly string[];
  /** The ends of what the homeserver and they have logged. */
  logTail(): string;
};

/** A Synapse with its own sliding sync off, and so many processes of Slidecar before it, which share a database. */
export async function startReplicas(count: number, config: SlidecarOptions["config"] = {}): Promise<StartedReplicas> {
  await using stack = new AsyncDisposableStack();
  const keeper = await startKeeper();
  stack.defer(() => keeper.end());
  const { adminUrl } = keeper.template;
  await withClient(adminUrl, (client) => client.query(`CREATE DATABASE ${DATABASE}`));
  const url = databaseUrl(adminUrl, DATABASE);
  const synapse = stack.use(await startSynapse({ native: false }));
  const shared = { database: { url }, secret: "a secret of the conformance run", ...config };
  const slidecars: Slidecar[] = [];
  while (slidecars.length < count) {
    slidecars.push(stack.use(await startSlidecar({ homeserverUrl: synapse.url, config: shared })));
  }
  const database = new Client({ connectionString: url });
  await database.connect();
  stack.defer(() => database.end());
  const watch = new IntakeWatch(database, slidecars);
  const replicaUrls = slidecars.map((slidecar) => slidecar.url);
  const owned = stack.move();
  return {
    name: "Slidecar",
    homeserverUrl: synapse.url,
    syncUrl: replicaUrls[0]!,
    replicaUrls,
    excludeRooms: (excludedRooms) => synapse.restart({ excludedRooms }),
    caughtUp: (session) => watch.caughtUp(session),
    logTail: () => logTails([synapse, ...slidecars]),
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

const logTails = (servers: readonly { logTail(): string }[]): string =>
  servers.map((server) => server.logTail()).join("\n");

async function withClient(url: string, work: (client: Client) => Promise<unknown>): Promise<void> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    await work(client);
  } finally {
    await client.end();
  }
}

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
class IntakeWatch {
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
      if (performance.now() > deadline) throw new Error(`in vain: ${what}\n${logTails(this.#slidecars)}`);
    }
  }
}
