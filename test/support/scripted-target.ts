// The whole product before the scripted homeserver, for rows of the conformance table that need federation or a server's inside.
import { Client } from "pg";
import type { Answer } from "../e2e/conformance/answer.ts";
import { IntakeWatch } from "../e2e/conformance/intake-watch.ts";
import type { Person } from "../e2e/conformance/person.ts";
import type { Target } from "../e2e/conformance/target.ts";
import { startSlidecar } from "../e2e/support/slidecar.ts";
import { openTestDatabase, type TestDatabase } from "./database.ts";
import { type Homeserver, startHomeserver } from "./homeserver/start.ts";
import type { JsonObject } from "./room-life/api.ts";

/** The product's, for tests that make what only it can make. */
export const SECRET = "a secret of the conformance rows";

export interface ScriptedTarget extends Target, AsyncDisposable {
  readonly homeserver: Homeserver;
  readonly db: TestDatabase;
  /**
   * The user's rooms and the state of each are compared with the homeserver's: the hour and the day are over after which that is
   * done when a device comes back, here since the product starts anew.
   */
  comparesRooms(person: Person): Promise<void>;
  /** Nothing is in the product's memory any more. */
  startsAnew(): Promise<void>;
}

/** Behaves as Synapse 1.157 does, MSC4222 off. */
export async function startScriptedTarget(): Promise<ScriptedTarget> {
  await using stack = new AsyncDisposableStack();
  const db = stack.use(await openTestDatabase());
  const database = new Client({ connectionString: db.url });
  await database.connect();
  stack.defer(() => database.end());
  const homeserver = stack.use(await startHomeserver({ profile: "synapse" }));
  const config = { database: { url: db.url }, secret: SECRET, sync: { simplified_ops: true } };
  const slidecar = stack.use(await startSlidecar({ homeserverUrl: homeserver.url, config }));
  const watch = new IntakeWatch(database, [slidecar]);
  const owned = stack.move();
  const startsAnew = async () => {
    await slidecar.kill();
    await slidecar.restart();
  };
  return {
    name: "Slidecar",
    homeserver,
    db,
    homeserverUrl: homeserver.url,
    syncUrl: slidecar.url,
    excludeRooms: () => Promise.reject(new Error("the scripted homeserver shows every room")),
    caughtUp: (session) => watch.caughtUp(session),
    comparesRooms: async ({ id }) => {
      await db.query({ text: "UPDATE users SET reconciled_at = NULL WHERE user_id = $1", values: [id] });
      await db.query({ text: "UPDATE rooms SET state_compared_at = NULL", values: [] });
      await startsAnew();
    },
    startsAnew,
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Syncs on from a pos until an answer is as wanted; that answer. The test's own time limit ends it. */
export async function syncUntil(
  person: Person,
  request: JsonObject,
  pos: string,
  isWanted: (answer: Answer) => boolean,
): Promise<Answer> {
  let answer = await person.sync(request, { pos });
  while (!isWanted(answer)) answer = await person.sync(request, { pos: answer.pos, timeoutMs: 1_000 });
  return answer;
}

/** Rooms of each list of an answer, sorted. */
export const listedIn = ({ lists = {} }: Answer): Readonly<Record<string, readonly string[]>> =>
  Object.fromEntries(
    Object.entries(lists).map(([key, { ops = [] }]) => [key, ops.flatMap(({ room_ids: ids }) => ids).toSorted()]),
  );
