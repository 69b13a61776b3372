// The two servers that each row is tried on: Synapse's own sliding sync, and Slidecar before a Synapse without one.
import { Client } from "pg";
import { startKeeper } from "../../support/cluster.ts";
import { databaseUrl } from "../../support/database-url.ts";
import { type Slidecar, type SlidecarOptions, startSlidecar } from "../support/slidecar.ts";
import { startSynapse } from "../support/synapse.ts";
import { IntakeWatch } from "./intake-watch.ts";
import type { Target } from "./target.ts";

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
