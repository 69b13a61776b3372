import { createClock } from "./clock.ts";
import { addControlRoutes } from "./control/routes.ts";
import { createFaults } from "./faults.ts";
import { Router } from "./http/router.ts";
import { type Listening, listen } from "./http/server.ts";
import { createIds } from "./ids.ts";
import { createLively, type LivelyAccount } from "./lively/lively.ts";
import { createPolls } from "./polls.ts";
import type { Profile } from "./profile.ts";
import { createRandom } from "./random.ts";
import { createRequestLog } from "./request-log.ts";
import { addHistoryRoutes } from "./routes/history.ts";
import { addKeyRoutes } from "./routes/keys.ts";
import { addMembershipRoutes } from "./routes/membership.ts";
import { addPushRuleRoutes } from "./routes/push-rules.ts";
import { addReadRoutes } from "./routes/read.ts";
import { addSendRoutes } from "./routes/send.ts";
import { addSessionRoutes } from "./routes/session.ts";
import { addSyncRoute } from "./routes/sync.ts";
import { addUserDataRoutes } from "./routes/user-data.ts";
import { createLazyMemberCaches } from "./sync/lazy-members.ts";
import { createSyncResponder } from "./sync/respond.ts";
import { createWakeUp } from "./wake.ts";
import { World } from "./world.ts";

export interface AppOptions {
  readonly port: number;
  readonly profile: Profile;
  readonly serverName: string;
  readonly initialDelayMs: number;
  readonly seed: number;
  /** Rooms of the lively account; without them there is none. */
  readonly rooms: number;
  readonly eventsPerSecond: number;
}

export interface App extends AsyncDisposable {
  readonly port: number;
  readonly account: LivelyAccount | undefined;
}

export async function startApp(options: AppOptions): Promise<App> {
  const stop = new AbortController();
  const clock = createClock();
  const ids = createIds(createRandom(options.seed));
  const world = new World({ ...options, clock, ids, wakeUp: createWakeUp() });
  world.settings.initialDelayMs = options.initialDelayMs;
  const lazyMembers = createLazyMemberCaches(clock, options.profile);
  const responder = createSyncResponder({ world, lazyMembers }, stop.signal);
  const parts = {
    world,
    responder,
    polls: createPolls(),
    faults: createFaults(),
    log: createRequestLog(clock.nowMs),
    lively: createLively(world, createRandom(options.seed + 1)),
  };
  const account = options.rooms > 0 ? parts.lively.populate(options.rooms) : undefined;
  parts.lively.run(options.eventsPerSecond);
  const control = new Router();
  addControlRoutes(control, parts);
  const server: Listening = await listen({ ...parts, router: createRouter(parts), control }, options.port);
  return {
    port: server.port,
    account,
    [Symbol.asyncDispose]: async () => {
      stop.abort();
      parts.lively.run(0);
      parts.faults.clear();
      await server[Symbol.asyncDispose]();
    },
  };
}

function createRouter(parts: Parameters<typeof addSyncRoute>[1]): Router {
  const router = new Router();
  const { world } = parts;
  addSyncRoute(router, parts);
  addSessionRoutes(router, world);
  addMembershipRoutes(router, world);
  addSendRoutes(router, world);
  addReadRoutes(router, world);
  addHistoryRoutes(router, world);
  addUserDataRoutes(router, world);
  addPushRuleRoutes(router, world);
  addKeyRoutes(router, world);
  return router;
}
